import { closeSync, existsSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { storageError } from '../contract/storage-error.ts';
import { databaseVersion, migrate } from './migrate.ts';

/** Someone else's checkpoint may hold the file for a moment. */
const BUSY_MS = 5000;

/**
 * The connection of the one writer, with the database in today's form. A newer or foreign database is refused before anything is written.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function connectWriter(path: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    if (existsSync(path)) connectReader(path).close();
    // SQLite gives its side files the mode of the database.
    else closeSync(openSync(path, 'wx', 0o600));
    db = new Database(path, { timeout: BUSY_MS });
    db.pragma('foreign_keys = ON');
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    db.pragma('synchronous = FULL');
    db.pragma('journal_mode = WAL');
    migrate(db);
    return db;
  } catch (thrown) {
    db?.close();
    throw storageError(path, thrown);
  }
}

/** A connection that only reads, beside the writer's. @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE */
export function connectReader(path: string): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
    db.pragma('trusted_schema = OFF');
    db.pragma('cell_size_check = ON');
    databaseVersion(db);
    return db;
  } catch (thrown) {
    db?.close();
    throw storageError(path, thrown);
  }
}
