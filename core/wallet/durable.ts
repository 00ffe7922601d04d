import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { storageError } from '../contract/storage-error.ts';

const PARTIAL = /\.[0-9a-f]{12}\.partial$/;

/**
 * Puts a file (0600) at `path`, whole and durable or not at all: written beside it, synced, then given its name.
 * `new` refuses to take the place of another, and of several at once one succeeds; `replace` takes it. Whether it was put there.
 * @throws DISK_FULL, DATA_DIR_UNWRITABLE
 */
export function putFile(path: string, text: string, mode: 'new' | 'replace'): boolean {
  const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = openSync(partial, 'wx', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    // `link` refuses what exists, `rename` would not.
    if (mode === 'new') linkSync(partial, path);
    else renameSync(partial, path);
    syncFolder(dirname(path));
    return true;
  } catch (thrown) {
    if (mode === 'new' && (thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw storageError(path, thrown);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** Removes what writers that were killed left half done. To be called when nobody writes there. @throws DATA_DIR_UNWRITABLE */
export function sweepPartials(folder: string): void {
  try {
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder)) if (PARTIAL.test(name)) rmSync(join(folder, name), { force: true });
  } catch (thrown) {
    throw storageError(folder, thrown);
  }
}

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
