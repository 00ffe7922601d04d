import type { ChangeLog } from '../change-log.ts';
import type { Log } from '../log.ts';
import type { Appends, Changes, PracticeBook, Reads, Store } from '../store.ts';
import { changeNames, type SqliteChanges } from './change.ts';
import { createDirectLog } from './direct.ts';
import { sqliteFeatures } from './features.ts';
import { openDatabase } from './open.ts';

/**
 * The store of an embedded coordinator: one SQLite file, of which it is the only writer.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DISK_FULL
 */
export function openSqliteStore(path: string, network: string, log: Log = () => undefined): { store: Store; book: PracticeBook } {
  const database = openDatabase(path);
  try {
    return database.read(() => {
      const { reads, changes, book } = sqliteFeatures(database, network);
      return { store: storeOver(reads, changes, createDirectLog(database, changes, log)), book };
    });
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

/** What is read here, and each change as a call that appends it. */
export function storeOver(reads: Reads, changes: SqliteChanges<Changes>, log: ChangeLog): Store {
  const appends = Object.fromEntries(
    changeNames(changes).map((name) => [name, (...args: Parameters<Changes[typeof name]>) => log.append(name, args)]),
  ) as unknown as Appends<Changes>;
  return { ...reads, ...appends, onApplied: log.onApplied, close: log.close };
}
