import type { PracticeBook, Store } from '../store.ts';
import { sqliteHolds } from './holds.ts';
import { sqliteJobs } from './jobs.ts';
import { sqliteLeases } from './leases.ts';
import { openDatabase } from './open.ts';
import { sqlitePractice } from './practice.ts';
import { sqliteReceipts } from './receipts.ts';

/**
 * The store of an embedded coordinator: one SQLite file, of which it is the only writer.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DISK_FULL
 */
export function openSqliteStore(path: string, network: string): { store: Store; book: PracticeBook } {
  const database = openDatabase(path);
  try {
    return database.read(() => ({
      store: {
        ...sqliteJobs(database, network),
        ...sqliteLeases(database),
        ...sqliteReceipts(database),
        ...sqliteHolds(database),
        close: () => database.close(),
      },
      book: sqlitePractice(database),
    }));
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}
