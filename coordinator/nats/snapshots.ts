import { rm } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';
import type { Position } from './log-stream.ts';
import type { Objects, StoredObject } from './objects.ts';

/** The one before the last stays, for whoever is reading it just now. */
const KEPT = 2;

/** A copy of the state at one sequence of the log, from which a coordinator begins that knows nothing yet. */
export interface Snapshots {
  /** Takes one of an open replica, without keeping it from working, and lets the older ones go; where in the log it stands. */
  take(replica: Database.Database): Promise<Position>;
  /** Writes the newest of a log to `path`; null where there is none. @throws DIGEST_MISMATCH */
  restore(log: string, path: string): Promise<Position | null>;
}

/** @param scratch a file name of its own, on the disk of the replica */
export function createSnapshots(objects: Objects, scratch: string): Snapshots {
  async function newest(log: string): Promise<Array<{ sequence: number; object: StoredObject }>> {
    const found: Array<{ sequence: number; object: StoredObject }> = [];
    for (const name of await objects.names()) {
      const object = await objects.find(name);
      if (object?.metadata.log === log) found.push({ object, sequence: Number(object.metadata.sequence) });
    }
    return found.sort((a, b) => b.sequence - a.sequence);
  }

  return {
    async take(replica) {
      await rm(scratch, { force: true });
      try {
        // Page by page, between what else there is to do: what changes meanwhile is copied as well, and the position with it.
        await replica.backup(scratch);
        const position = positionIn(scratch);
        const { log, sequence } = position;
        await objects.put(`${log} ${String(sequence).padStart(16, '0')}`, scratch, { log, sequence: String(sequence) });
        for (const { object } of (await newest(log)).slice(KEPT)) await objects.remove(object);
        return position;
      } catch (thrown) {
        throw storageError(scratch, thrown);
      } finally {
        await rm(scratch, { force: true });
      }
    },
    async restore(log, path) {
      const [latest] = await newest(log);
      if (latest === undefined) return null;
      await rm(path, { force: true });
      await objects.fetch(latest.object, path);
      const position = positionIn(path);
      if (position.log !== log || position.sequence !== latest.sequence) {
        const found = `${position.log} ${position.sequence}`;
        throw new HearthlendError('DIGEST_MISMATCH', { what: path, actual: found, expected: latest.object.name });
      }
      return position;
    },
  };
}

/** Where a replica's file stands. @throws DATABASE_CORRUPT and its like, as ours */
function positionIn(path: string): Position {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true });
    // One file, without a log beside it: it is on its way elsewhere.
    db.pragma('journal_mode = DELETE');
    const position = db.prepare<[], Position>('SELECT log, sequence, mark FROM log_position').get();
    if (position === undefined) throw new HearthlendError('DATABASE_CORRUPT', { path, detail: 'it says nothing of where it stands' });
    return position;
  } catch (thrown) {
    throw storageError(path, thrown);
  } finally {
    db?.close();
  }
}
