import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { HearthlendError } from '../core/contract/errors.ts';
import { storageError } from '../core/contract/storage-error.ts';

const MAX_FILE_BYTES = 1 << 20;

/** Puts a file that only its owner may read in place, whole and durable or not at all. @throws DISK_FULL, DATA_DIR_UNWRITABLE */
export function writeSecret(path: string, text: string): void {
  const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = openSync(partial, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
    if (process.platform !== 'win32') {
      const folder = openSync(dirname(path), 'r');
      try {
        fsyncSync(folder);
      } finally {
        closeSync(folder);
      }
    }
  } catch (thrown) {
    throw storageError(path, thrown);
  } finally {
    rmSync(partial, { force: true });
  }
}

/**
 * The JSON of a file that may hold keys; null where there is none. Errors tell where it is wrong and never what it holds: they have no cause.
 * @throws COORDINATOR_FILE_INVALID
 */
export function readSecret<T>(path: string, schema: z.ZodType<T>): T | null {
  const invalid = (detail: string) => new HearthlendError('COORDINATOR_FILE_INVALID', { path, detail });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid('it is no file of a coordinator');
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0)
    throw invalid(`others may read it (mode ${(found.mode & 0o777).toString(8)})`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw invalid((thrown as NodeJS.ErrnoException).code ?? 'it is not JSON');
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) throw invalid(`its ${parsed.error.issues[0]?.path.join('.') || 'content'} is malformed`);
  return parsed.data;
}
