import { chmodSync } from 'node:fs';
import Database from 'better-sqlite3';
import { HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';
import { initial } from './migrations/0001-initial.ts';
import { trust } from './migrations/0002-trust.ts';
import { requesters } from './migrations/0003-requesters.ts';
import { leasing } from './migrations/0004-leasing.ts';
import { members } from './migrations/0005-members.ts';
import { vouching } from './migrations/0006-vouching.ts';
import { peers } from './migrations/0007-peers.ts';
import { staging } from './migrations/0008-staging.ts';
import { twins } from './migrations/0009-twins.ts';
import { successors } from './migrations/0010-successors.ts';
import { payouts } from './migrations/0011-payouts.ts';
import { LogSync } from './sync.ts';

/** In order; the file's `user_version` is the number of those that were applied. A released one never changes. */
const MIGRATIONS: readonly string[] = [initial, trust, requesters, leasing, members, vouching, peers, staging, twins, successors, payouts];

/** Where a step waits for another program that reads the file (a back-up). */
const BUSY_MS = 5000;

/** An open database. Every access goes through one of these three, which turn SQLite's errors into ours. */
export interface OpenDatabase {
  db: Database.Database;
  read<T>(access: () => T): T;
  /** Changes something, and is on the disk when it returns. */
  step<T>(access: () => T): T;
  /** Changes something that a kill leaves whole, and that a power cut may take until `synced`, or the next step. */
  stepSoon<T>(access: () => T): T;
  /** Resolves when every step so far is on the disk. */
  synced(): Promise<void>;
  close(): void;
}

/**
 * Opens the coordinator's database, checks it and brings it to this version's schema, each migration in one transaction.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DISK_FULL
 */
export function openDatabase(path: string): OpenDatabase {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: BUSY_MS });
    // For its owner alone; SQLite gives its side files the same mode.
    if (process.platform !== 'win32') chmodSync(path, 0o600);
    const opened = db;
    migrate(opened, path, MIGRATIONS);
    const log = new LogSync(path);
    const read = <T>(access: () => T): T => {
      try {
        return access();
      } catch (thrown) {
        throw databaseError(thrown, path);
      }
    };
    return {
      db: opened,
      read,
      step: (access) =>
        read(() => {
          opened.pragma('synchronous = FULL');
          try {
            return access();
          } finally {
            opened.pragma('synchronous = NORMAL');
          }
        }),
      stepSoon: read,
      async synced() {
        try {
          await log.sync();
        } catch (thrown) {
          throw storageError(path, thrown);
        }
      },
      close() {
        void log.close();
        opened.close();
      },
    };
  } catch (thrown) {
    db?.close();
    throw databaseError(thrown, path);
  }
}

/** Refuses a file from a newer version before anything in it is changed. */
export function migrate(db: Database.Database, path: string, migrations: readonly string[]): void {
  const found = db.pragma('user_version', { simple: true }) as number;
  if (found > migrations.length) throw new HearthlendError('DATABASE_NEWER', { path, found, known: migrations.length });
  const check = db.pragma('quick_check(1)', { simple: true }) as string;
  if (check !== 'ok') throw new HearthlendError('DATABASE_CORRUPT', { path, detail: check });
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  for (const [index, sql] of migrations.entries()) {
    if (index < found) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
  // From here on each step says whether it waits for the disk.
  db.pragma('synchronous = NORMAL');
}

/** Any error of an access to the file at `path`, by our codes. Source: sqlite.org/rescode.html. */
function databaseError(thrown: unknown, path: string): unknown {
  if (thrown instanceof HearthlendError) return thrown;
  if (thrown instanceof Database.SqliteError) {
    const { code, message: detail } = thrown;
    if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE') return new HearthlendError('DISK_FULL', { path }, { cause: thrown });
    if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
      return new HearthlendError('DATABASE_CORRUPT', { path, detail }, { cause: thrown });
    }
    if (/^SQLITE_(CANTOPEN|READONLY|IOERR|BUSY|LOCKED|PERM|AUTH)/.test(code)) {
      return new HearthlendError('DATABASE_UNAVAILABLE', { path, detail }, { cause: thrown });
    }
    return thrown;
  }
  // better-sqlite3 reports a missing folder by itself, as a TypeError.
  if (thrown instanceof TypeError) return new HearthlendError('DATABASE_UNAVAILABLE', { path, detail: thrown.message }, { cause: thrown });
  return thrown;
}
