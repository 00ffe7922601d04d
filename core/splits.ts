import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from './contract/digest.ts';
import { HearthlendError } from './contract/errors.ts';
import type { HeldSplit } from './contract/jobs.ts';
import { createSerial } from './contract/serial.ts';
import { SPLIT_FILE, SplitManifest } from './contract/stages.ts';
import { processAlive } from './loopback/endpoint.ts';

/** Where they lie in a data folder. */
export const SPLITS_FOLDER = 'splits';
/** A file of this name, with a process id, is in the folder of a split that this process uses. */
const IN_USE = /^in-use-(\d{1,10})-\d{1,10}$/;
const GONE = '.gone';
/** What is not whole after this long was given up. */
const UNFINISHED_MS = 86_400_000;
let uses = 0;

/** Models in stages, each cut once and kept for the next job, as long as there is room. */
export interface Splits {
  /** @param cut writes the stages into a folder, which is asked for where they are not here; whoever wants the same meanwhile waits for it */
  take(model: Sha256, stages: number, cut: (folder: string) => Promise<unknown>): Promise<HeldSplit>;
}

/** @param mostBytes what they may take together: those that were used least lately go first, never one in use */
export function openSplits(dir: string, mostBytes: () => number): Splits {
  const underWay = new Map<string, Promise<unknown>>();
  // Each reads and writes a whole model.
  const serially = createSerial();

  async function cutInto(folder: string, cut: (folder: string) => Promise<unknown>): Promise<void> {
    const running =
      underWay.get(folder) ??
      serially(async () => {
        // It may have been cut while this one looked.
        const there = await holdSplit(folder);
        await (there === null ? cut(folder) : there.release());
      });
    underWay.set(folder, running);
    try {
      await running;
    } finally {
      if (underWay.get(folder) === running) underWay.delete(folder);
    }
  }

  return {
    async take(model, stages, cut) {
      const folder = splitFolder(dir, model, stages);
      // While one is being cut, what lies there is none yet.
      const there = underWay.has(folder) ? null : await holdSplit(folder);
      if (there !== null) return there;
      await cutInto(folder, cut);
      const made = await holdSplit(folder);
      await pruneSplits(dir, mostBytes(), (path) => underWay.has(path));
      if (made === null) throw new HearthlendError('FILE_UNREADABLE', { path: folder, detail: 'its stages are gone' });
      return made;
    },
  };
}

/** Where a model's stages lie in the folder of all splits. */
export function splitFolder(dir: string, model: Sha256, stages: number): string {
  return join(dir, `${model.slice(0, 32)}-${stages}`);
}

/** The stages in a folder, in use until they are released or this process ends; null where they are not there, with every file of its size. */
export async function holdSplit(folder: string): Promise<HeldSplit | null> {
  uses += 1;
  const mark = join(folder, `in-use-${process.pid}-${uses}`);
  const release = () => rm(mark, { force: true });
  try {
    await writeFile(mark, '', { mode: 0o600 });
    const manifest = SplitManifest.parse(JSON.parse(await readFile(join(folder, SPLIT_FILE), 'utf8')));
    const files = new Map(manifest.stages.flatMap((stage) => stage.manifest.files.map(({ path }) => [path, join(folder, path)])));
    for (const { path, bytes } of filesOf(manifest)) {
      if ((await stat(join(folder, path))).size !== bytes) throw new Error(`${path} is not what was written`);
    }
    const now = new Date();
    await utimes(join(folder, SPLIT_FILE), now, now);
    return { manifest, files, release };
  } catch {
    await release();
    return null;
  }
}

/** Removes what was used least lately until the rest fits, and what was never finished. @param isCut whether a folder is being written by this process */
async function pruneSplits(dir: string, mostBytes: number, isCut: (folder: string) => boolean = () => false): Promise<void> {
  const kept: { folder: string; bytes: number; usedAt: number }[] = [];
  for (const name of await readdir(dir).catch(() => [])) {
    const folder = join(dir, name);
    const manifest = await manifestOf(folder);
    if (isCut(folder) || (await isInUse(folder))) {
      if (manifest !== null) kept.push({ folder, bytes: bytesOf(manifest), usedAt: Number.POSITIVE_INFINITY });
    } else if (manifest === null || name.endsWith(GONE)) {
      const { mtimeMs } = await stat(folder);
      if (name.endsWith(GONE) || Date.now() - mtimeMs > UNFINISHED_MS) await rm(folder, { recursive: true, force: true });
    } else kept.push({ folder, bytes: bytesOf(manifest), usedAt: (await stat(join(folder, SPLIT_FILE))).mtimeMs });
  }
  kept.sort((a, b) => a.usedAt - b.usedAt);
  let bytes = kept.reduce((sum, each) => sum + each.bytes, 0);
  for (const each of kept) {
    if (bytes <= mostBytes || each.usedAt === Number.POSITIVE_INFINITY) return;
    bytes -= each.bytes;
    // Gone at once for whoever looks for it, however long its files take.
    const gone = `${each.folder}${GONE}`;
    await rename(each.folder, gone);
    await rm(gone, { recursive: true, force: true });
  }
}

async function isInUse(folder: string): Promise<boolean> {
  let used = false;
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = IN_USE.exec(name)?.[1];
    if (pid === undefined) continue;
    if (processAlive(Number(pid))) used = true;
    else await rm(join(folder, name), { force: true });
  }
  return used;
}

async function manifestOf(folder: string): Promise<SplitManifest | null> {
  try {
    return SplitManifest.parse(JSON.parse(await readFile(join(folder, SPLIT_FILE), 'utf8')));
  } catch {
    return null;
  }
}

const filesOf = ({ stages }: SplitManifest) => stages.flatMap(({ manifest }) => manifest.files);
const bytesOf = (manifest: SplitManifest) => filesOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0);
