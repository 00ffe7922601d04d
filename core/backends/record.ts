import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { Backend } from '../contract/backends.ts';
import { Sha256 } from '../contract/digest.ts';
import { storageError } from '../contract/storage-error.ts';

const MAX_FILE_BYTES = 1 << 20;
const MAX_TRIES = 256;
const MAX_REFUSALS = 1000;

const Key = z.string().min(1).max(500);
const Contents = z.strictObject({
  version: z.literal(1),
  /** Tries by what they depend on, the newest last. */
  tries: z.array(z.strictObject({ key: Key, backend: Backend })).max(MAX_TRIES),
  /** Models that a backend refused and the CPU then computed, the newest last. */
  refusals: z.array(z.strictObject({ key: Key, model: Sha256 })).max(MAX_REFUSALS),
});
type Contents = z.infer<typeof Contents>;

/** What was found out about backends on this machine, in one file of the data folder. */
export interface BackendRecord {
  tried(key: string): Backend | null;
  keep(key: string, backend: Backend): void;
  refuses(key: string, model: Sha256): boolean;
  refused(key: string, model: Sha256): void;
}

/** What a try depends on: when one of these changes, it is made again. */
export function keyOf(facts: { gpu: string; name: string; driver: string | null; backend: string; onnxruntime: string }): string {
  return [facts.backend, facts.onnxruntime, facts.gpu, facts.name, facts.driver ?? ''].join(' | ').slice(0, 500);
}

/** A file that can't be read, or not understood, counts as none: all of it can be found out again. */
export function openRecord(path: string): BackendRecord {
  let contents = readContents(path);
  const change = (next: Contents): void => {
    contents = next;
    write(path, next);
  };
  return {
    tried: (key) => contents.tries.findLast((each) => each.key === key)?.backend ?? null,
    keep(key, backend) {
      const others = contents.tries.filter((each) => each.key !== key);
      change({ ...contents, tries: [...others, { key, backend }].slice(-MAX_TRIES) });
    },
    refuses: (key, model) => contents.refusals.some((each) => each.key === key && each.model === model),
    refused(key, model) {
      if (contents.refusals.some((each) => each.key === key && each.model === model)) return;
      change({ ...contents, refusals: [...contents.refusals, { key, model }].slice(-MAX_REFUSALS) });
    },
  };
}

function readContents(path: string): Contents {
  const none: Contents = { version: 1, tries: [], refusals: [] };
  try {
    if (statSync(path).size > MAX_FILE_BYTES) return none;
    return Contents.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data ?? none;
  } catch {
    return none;
  }
}

/** Replaces the file as a whole. @throws DISK_FULL, DATA_DIR_UNWRITABLE */
function write(path: string, contents: Contents): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const partial = `${path}.partial`;
    const file = openSync(partial, 'w', 0o600);
    try {
      writeFileSync(file, JSON.stringify(contents));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}
