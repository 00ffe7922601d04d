import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { storageError } from '../contract/storage-error.ts';

/**
 * Puts bytes at `path` (0600): all of them or what was there before, also after a power cut. One writer a path.
 * @throws DISK_FULL, DATA_DIR_UNWRITABLE
 */
export function writeDurably(path: string, bytes: string | Uint8Array): void {
  const partial = `${path}.partial`;
  try {
    const file = openSync(partial, 'w', 0o600);
    try {
      writeFileSync(file, bytes);
      fsyncSync(file);
    } catch (thrown) {
      rmSync(partial, { force: true });
      throw thrown;
    } finally {
      closeSync(file);
    }
    renameSync(partial, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}

/** Makes what was renamed or deleted in a folder durable. Windows has no such call, and does so by itself. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
