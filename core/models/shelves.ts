import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import { AddedModel } from '../contract/models.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';

/**
 * The store's folders: manifests, files of its own, second names of files elsewhere, files that have not all come yet, what the owner added,
 * and a folder for each download of the owner's.
 */
export interface Shelves {
  models: string;
  blobs: string;
  linked: string;
  parts: string;
  added: string;
  downloads: string;
}

/** A model whose manifest is here. `lastUsed` in ms since 1970. */
export interface StoredFacts {
  manifest: ModelManifest;
  lastUsed: number;
}

/** A download that nobody went on with for this long is given up. */
const PART_KEPT_MS = 7 * 86_400_000;
/** A record of 4096 files with the longest paths there are. */
const MAX_RECORD_BYTES = 8 << 20;

export function shelvesIn(dir: string): Shelves {
  const [models, blobs, linked, parts] = [join(dir, 'models'), join(dir, 'blobs'), join(dir, 'linked'), join(dir, 'parts')];
  return { models, blobs, linked, parts, added: join(dir, 'added'), downloads: join(dir, 'downloads') };
}

/** Takes stock at the start, and clears away what a former process left: links, old part files, and whatever no manifest names. */
export async function readShelves(
  shelves: Shelves,
): Promise<{ models: Map<Sha256, StoredFacts>; blobs: Map<Sha256, number>; added: Map<Sha256, AddedModel> }> {
  await rm(shelves.linked, { recursive: true, force: true });
  for (const folder of Object.values(shelves)) await mkdir(folder, { recursive: true, mode: 0o700 });

  const models = new Map<Sha256, StoredFacts>();
  for (const name of await readdir(shelves.models)) {
    const facts = await readManifest(join(shelves.models, name), name);
    if (facts === undefined) await rm(join(shelves.models, name), { recursive: true, force: true });
    else models.set(facts.digest, { manifest: facts.manifest, lastUsed: facts.lastUsed });
  }
  const named = new Map([...models.values()].flatMap(({ manifest }) => manifest.files.map(({ digest, bytes }) => [digest, bytes])));
  const blobs = await sizesIn(shelves.blobs);
  for (const [name, bytes] of blobs) {
    if (named.get(name) === bytes) continue;
    await rm(join(shelves.blobs, name), { recursive: true, force: true });
    blobs.delete(name);
  }
  for (const folder of [shelves.parts, shelves.downloads]) {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (Date.now() - (await stat(path)).mtimeMs > PART_KEPT_MS) await rm(path, { recursive: true, force: true });
    }
  }
  return { models, blobs, added: await readAdded(shelves, models) };
}

/** The owner's models. A record whose manifest was lost, or that can't be read, says nothing of use: it goes, and the model can be added again. */
async function readAdded(shelves: Shelves, models: ReadonlyMap<Sha256, StoredFacts>): Promise<Map<Sha256, AddedModel>> {
  const added = new Map<Sha256, AddedModel>();
  for (const name of await readdir(shelves.added)) {
    const path = join(shelves.added, name);
    const record = AddedModel.safeParse(await readJson(path));
    if (record.success && `${record.data.digest}.json` === name && models.has(record.data.digest))
      added.set(record.data.digest, record.data);
    else await rm(path, { recursive: true, force: true });
  }
  return added;
}

async function readJson(path: string): Promise<unknown> {
  const file = await stat(path);
  if (!file.isFile() || file.size > MAX_RECORD_BYTES) return undefined;
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** File names in a folder with their sizes. What goes away meanwhile, since a part became whole, is left out. */
export async function sizesIn(folder: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of await readdir(folder)) {
    try {
      sizes.set(name, (await stat(join(folder, name))).size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return sizes;
}

/** Names of the folders in a folder. */
export async function subfoldersOf(folder: string): Promise<string[]> {
  return (await readdir(folder, { withFileTypes: true })).flatMap((entry) => (entry.isDirectory() ? entry.name : []));
}

export function total(sizes: ReadonlyMap<string, number>): number {
  let bytes = 0;
  for (const size of sizes.values()) bytes += size;
  return bytes;
}

/** Writes a manifest, or the record of a model that was added, as a whole or not at all. */
export async function writeRecord(path: string, record: ModelManifest | AddedModel): Promise<void> {
  await writeFile(`${path}.new`, canonicalJson(record), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}

/** A stored manifest, where it is what its file name says. */
async function readManifest(path: string, name: string): Promise<(StoredFacts & { digest: Sha256 }) | undefined> {
  const digest = Sha256.safeParse(name.replace(/\.json$/, ''));
  const file = await stat(path);
  if (!digest.success || !name.endsWith('.json') || !file.isFile() || file.size > MAX_MANIFEST_BYTES) return undefined;
  const bytes = await readFile(path);
  try {
    return { digest: digest.data, manifest: parseManifest({ digest: digest.data }, bytes), lastUsed: file.mtimeMs };
  } catch (error) {
    if (error instanceof HearthlendError && error.code === 'MODEL_INVALID') return undefined;
    throw error;
  }
}
