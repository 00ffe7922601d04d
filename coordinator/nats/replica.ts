import Database from 'better-sqlite3';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import { type AnyChange, changeNames, type SqliteChanges } from '../sqlite/change.ts';
import { sqliteFeatures } from '../sqlite/features.ts';
import { type OpenDatabase, openDatabase } from '../sqlite/open.ts';
import type { Changes, PracticeBook, Reads } from '../store.ts';
import type { LogMessage } from './log-message.ts';
import type { Position } from './log-stream.ts';

/** What a replica has beside the features' tables. `writers`: the last message of each that was applied, so that none is applied twice. */
const SCHEMA = `
CREATE TABLE IF NOT EXISTS log_position (one INTEGER PRIMARY KEY CHECK (one = 1), log TEXT NOT NULL, sequence INTEGER NOT NULL, mark TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log_writers (writer TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`;

/** What came of one change. */
type Outcome = { name: string; args: readonly unknown[] } & ({ result: unknown } | { error: HearthlendError });

/** One coordinator's copy of the network's state: everything up to one sequence of the log. */
export interface Replica {
  reads: Reads;
  changes: SqliteChanges<Changes>;
  book: PracticeBook;
  database: OpenDatabase;
  /** Null before the first message. */
  position(): Position | null;
  /** Follows `log` from after `sequence`, which is where this file stands. */
  follow(position: Position): void;
  /**
   * Applies messages and where in the log the last of them is, all together or none; gives what came of each one's changes, and nothing for one that was applied before. A
   * change that fails by itself leaves everything as it was; the same happens at every replica.
   * @throws DISK_FULL, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, after which it can be tried again
   */
  apply(messages: readonly LogMessage[], last: Pick<Position, 'sequence' | 'mark'>): Outcome[][];
  close(): void;
}

/** Opens a replica, or begins one; no other program can until it is closed. @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE, DISK_FULL */
export function openReplica(path: string, network: string): Replica {
  const database = openDatabase(path);
  try {
    return database.read(() => replicaOver(database, network));
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

function replicaOver(database: OpenDatabase, network: string): Replica {
  const { db } = database;
  // Two that apply to one file would each think that it had applied what the other did.
  db.pragma('locking_mode = EXCLUSIVE');
  db.exec(SCHEMA);
  db.exec('BEGIN EXCLUSIVE; COMMIT');
  const { reads, changes, book } = sqliteFeatures(database, network);
  const selectPosition = db.prepare<[], Position>('SELECT log, sequence, mark FROM log_position');
  const follow = db.prepare(
    'INSERT INTO log_position VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET log = excluded.log, sequence = excluded.sequence, mark = excluded.mark',
  );
  const advance = db.prepare('UPDATE log_position SET sequence = ?, mark = ?');
  const number = db.prepare(
    'INSERT INTO log_writers VALUES (?, ?) ON CONFLICT (writer) DO UPDATE SET number = excluded.number WHERE excluded.number > number',
  );
  // Inside the transaction of all messages each of these is a savepoint.
  const steps = new Map(
    changeNames(changes).map((name) => [
      name as string,
      db.transaction((changes[name] as AnyChange).apply as (...args: unknown[]) => unknown),
    ]),
  );

  function applyOne({ writer, number: own, changes: asked }: LogMessage): Outcome[] {
    const isNew = number.run(writer, own).changes === 1;
    if (!isNew) return [];
    return asked.map(([name, args]): Outcome => {
      try {
        return { name, args, result: steps.get(name)?.(...args) };
      } catch (thrown) {
        if (!failsEverywhere(thrown)) throw thrown;
        return { name, args, error: asHearthlendError(thrown) };
      }
    });
  }

  const applyAll = db.transaction((messages: readonly LogMessage[], { sequence, mark }: Pick<Position, 'sequence' | 'mark'>) => {
    const outcomes = messages.map(applyOne);
    advance.run(sequence, mark);
    return outcomes;
  });

  return {
    reads,
    changes,
    book,
    database,
    position: () => database.read(() => selectPosition.get()) ?? null,
    follow({ log, sequence, mark }) {
      database.stepSoon(() => follow.run(log, sequence, mark));
    },
    apply: (messages, last) => database.stepSoon(() => applyAll(messages, last)),
    close: () => database.close(),
  };
}

/** Whether a change failed by what it says (against a constraint, say), and not by this machine's disk. */
function failsEverywhere(thrown: unknown): boolean {
  if (thrown instanceof Database.SqliteError) return thrown.code.startsWith('SQLITE_CONSTRAINT');
  return !(thrown instanceof HearthlendError) || !/^(DISK_FULL|DATABASE_)/.test(thrown.code);
}
