import type { Database } from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { entries } from './migrations/0001-entries.ts';
import { yields } from './migrations/0002-yields.ts';
import { vouchers } from './migrations/0003-vouchers.ts';
import { workers } from './migrations/0004-workers.ts';
import { earned } from './migrations/0005-earned.ts';

/** One step of the database's form, in SQL. Steps are numbered from 1 without gaps and never changed once released. */
export interface Migration {
  version: number;
  up: string;
  /** What SQL can't: amounts beyond 64 bits are added up in code. */
  fill?(db: Database): void;
}

export const MIGRATIONS: readonly Migration[] = [entries, yields, vouchers, workers, earned];

/** Marks the file as a ledger ("HLdg"), so that another program's database is not taken for one. */
const APPLICATION_ID = 0x484c6467;

/**
 * The version of the form of the database at `path`; 0 for an empty file. Reads only. @throws DATABASE_NEWER, DATABASE_CORRUPT where it is no ledger
 */
export function databaseVersion(db: Database, path: string, known: number = MIGRATIONS.length): number {
  const found = Number(db.pragma('user_version', { simple: true }));
  const application = db.pragma('application_id', { simple: true });
  const empty = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0;
  if (found === 0 && application === 0 && empty) return 0;
  if (application !== APPLICATION_ID || found < 1) throw new HearthlendError('DATABASE_CORRUPT', { path, detail: 'it is no ledger' });
  if (found > known) throw new HearthlendError('DATABASE_NEWER', { path, found, known });
  return found;
}

/** Takes the database through the steps that it lacks, each in a transaction of its own. @throws DATABASE_NEWER, DATABASE_CORRUPT */
export function migrate(db: Database, path: string, migrations: readonly Migration[] = MIGRATIONS): void {
  for (const { version, up, fill } of migrations.slice(databaseVersion(db, path, migrations.length))) {
    db.transaction(() => {
      db.exec(up);
      fill?.(db);
      db.pragma(`application_id = ${APPLICATION_ID}`);
      db.pragma(`user_version = ${version}`);
    }).exclusive();
  }
}
