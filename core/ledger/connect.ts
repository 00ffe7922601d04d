import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { storageError } from '../contract/storage-error.ts';
import { databaseVersion, migrate } from './migrate.ts';

/** Someone else's checkpoint may hold the file for a moment. */
const BUSY_MS = 5000;
/**
 * Pages of the log, 16 MB, before they are brought into the database, which waits for the disk twice: SQLite's own 1000 would do so every 33 shards. Most
 * of them are the same few pages again and again.
 */
const CHECKPOINT_PAGES = 4000;

/**
 * The connection of the one writer, with the database in today's form. A newer or foreign database is refused before anything is written.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function connectWriter(path: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    accessSync(dirname(path), constants.W_OK);
    if (existsSync(path)) connectReader(path).close();
    // SQLite gives its side files the mode of the database.
    else closeSync(openSync(path, 'wx', 0o600));
    db = new Database(path, { timeout: BUSY_MS });
    db.pragma('foreign_keys = ON');
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    db.pragma('synchronous = FULL');
    db.pragma('journal_mode = WAL');
    migrate(db, path);
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    // From here on each record says whether it waits for the disk (ledger.ts).
    db.pragma('synchronous = NORMAL');
    return db;
  } catch (thrown) {
    db?.close();
    throw storageError(path, thrown);
  }
}

/**
 * A connection that only reads, beside the writer's; also from a folder that can't be written, a back-up say.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE
 */
export function connectReader(path: string): Database.Database {
  try {
    return readable(path, path);
  } catch (thrown) {
    const error = storageError(path, thrown);
    // SQLite keeps side files beside a database that is being written. Where none are and none can be made, nobody writes it.
    if (error.code !== 'DATABASE_UNAVAILABLE' || !existsSync(path) || existsSync(`${path}-wal`)) throw error;
  }
  try {
    return readable(inMemory(path), path);
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}

/** The file's bytes, with the two that say "with a write-ahead log" set to "without". Source: SQLite's file format, 1.3.3. */
function inMemory(path: string): Buffer {
  const bytes = readFileSync(path);
  bytes.fill(1, 18, 20);
  return bytes;
}

function readable(source: string | Buffer, path: string): Database.Database {
  const db = new Database(source, { readonly: true, fileMustExist: typeof source === 'string', timeout: BUSY_MS });
  try {
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    databaseVersion(db, path);
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}
