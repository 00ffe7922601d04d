import { accessSync, chmodSync, constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { storageError } from '../contract/storage-error.ts';

/** Held by the one agent of a data folder; the system drops it when its process ends, however it ends. */
export interface DataDirLock {
  release(): void;
}

/** A database that nobody refers to any more is closed when memory is tidied up, and its lock would go with it. */
const held = new Set<Database.Database>();

/**
 * Takes the lock of a data folder: SQLite's lock on `agent.lock`, the one kind of file lock that Node can take on every platform. The holder's
 * process id lies in `agent.pid` beside it, which means nothing once the lock is free.
 * @throws AGENT_RUNNING with the holder's process id, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function lockDataDir(folder: string): DataDirLock {
  const path = join(folder, 'agent.lock');
  const pidPath = join(folder, 'agent.pid');
  let db: Database.Database | undefined;
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    db = new Database(path, { timeout: 0 });
    if (process.platform !== 'win32') chmodSync(path, 0o600);
    db.exec('BEGIN EXCLUSIVE');
    writeFileSync(pidPath, `${process.pid}\n`, { mode: 0o600 });
  } catch (thrown) {
    db?.close();
    if (thrown instanceof Database.SqliteError && thrown.code.startsWith('SQLITE_BUSY')) {
      throw new HearthlendError('AGENT_RUNNING', { pid: holder(pidPath) }, { cause: thrown });
    }
    throw lockError(folder, thrown);
  }
  const lock = db;
  held.add(lock);
  return {
    release: () => {
      if (!held.delete(lock)) return;
      rmSync(pidPath, { force: true });
      lock.close();
    },
  };
}

/** A folder in which no lock file can be made or opened is one that can't be written. */
function lockError(folder: string, thrown: unknown): HearthlendError {
  const error = storageError(folder, thrown);
  if (error.code !== 'DATABASE_UNAVAILABLE' && error.code !== 'DATABASE_CORRUPT') return error;
  return new HearthlendError('DATA_DIR_UNWRITABLE', error.params, { cause: thrown });
}

/** The holder wrote its process id a moment after it took the lock; until then it is not known. */
function holder(pidPath: string): string {
  try {
    const pid = Number.parseInt(readFileSync(pidPath, 'utf8'), 10);
    return Number.isSafeInteger(pid) && pid > 0 ? String(pid) : '?';
  } catch {
    return '?';
  }
}
