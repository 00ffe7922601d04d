import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { BenchmarkResult } from '../contract/benchmark.ts';
import { storageError } from '../contract/storage-error.ts';

const KEPT = 50;
const MAX_FILE_BYTES = 8 << 20;
const Kept = z.strictObject({ version: z.literal(1), results: z.array(BenchmarkResult).max(KEPT) });

/** Results on disk, the newest first. */
export interface ResultStore {
  results(): BenchmarkResult[];
  /** @throws DISK_FULL, DATA_DIR_UNWRITABLE */
  add(result: BenchmarkResult): void;
}

/**
 * Opens the file of results. One that can't be read (cut off, of another version) is set aside as `<path>.unreadable` and a new one begun: what was
 * measured can be measured again. @param onUnreadable told why
 */
export function openResults(path: string, onUnreadable: (detail: string) => void): ResultStore {
  let results = read(path, onUnreadable);
  return {
    results: () => results,
    add(result) {
      results = [result, ...results].slice(0, KEPT);
      save(path, results);
    },
  };
}

function read(path: string, onUnreadable: (detail: string) => void): BenchmarkResult[] {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    if (found.size > MAX_FILE_BYTES) throw new Error(`it has ${found.size} bytes`);
    return Kept.parse(JSON.parse(readFileSync(path, 'utf8'))).results;
  } catch (thrown) {
    onUnreadable((thrown as Error).message);
    setAside(path);
    return [];
  }
}

/** Where it can't be moved it is left as it is, until it is written over: no reason to start without measuring. */
function setAside(path: string): void {
  try {
    renameSync(path, `${path}.unreadable`);
  } catch {
    // Whoever opened it was told that it can't be read.
  }
}

/** Replaces the file as a whole: after a power cut it holds the old results or the new. */
function save(path: string, results: BenchmarkResult[]): void {
  const partial = `${path}.partial`;
  try {
    const file = openSync(partial, 'w', 0o600);
    try {
      writeFileSync(file, `${JSON.stringify({ version: 1, results } satisfies z.infer<typeof Kept>)}\n`);
      fsyncSync(file);
    } catch (thrown) {
      rmSync(partial, { force: true });
      throw thrown;
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}
