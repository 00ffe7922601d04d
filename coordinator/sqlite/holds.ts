import type { HoldChanges, HoldReads } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

export function sqliteHolds({ db, read }: OpenDatabase): { reads: HoldReads; changes: SqliteChanges<HoldChanges> } {
  const insert = db.prepare('INSERT OR IGNORE INTO blob_holds VALUES (?, ?)');
  const remove = db.prepare<[string], { digest: string }>('DELETE FROM blob_holds WHERE holder = ? RETURNING digest');
  const held = db.prepare<[string]>('SELECT 1 FROM blob_holds WHERE digest = ? LIMIT 1');
  const selectHolders = db.prepare<[], { holder: string }>('SELECT DISTINCT holder FROM blob_holds');
  const selectHolder = db.prepare('SELECT 1 FROM blob_holds WHERE holder = ? LIMIT 1');
  const selectDigests = db.prepare<[], { digest: string }>('SELECT DISTINCT digest FROM blob_holds');

  return {
    reads: {
      isHeld: (digest) => read(() => held.get(digest)) !== undefined,
      async holders() {
        return read(() => selectHolders.all()).map((row) => row.holder);
      },
      async isHolder(holder) {
        return read(() => selectHolder.get(holder)) !== undefined;
      },
      async heldBlobs() {
        return new Set(read(() => selectDigests.all()).map((row) => row.digest));
      },
    },
    changes: {
      hold: {
        // What is lost of these is put right by the sweep at the next start.
        durable: 'later',
        apply(holder, digests) {
          for (const digest of digests) insert.run(holder, digest);
        },
      },
      letGo: {
        durable: 'later',
        apply: (holder) =>
          remove
            .all(holder)
            .map((row) => row.digest)
            .filter((digest) => held.get(digest) === undefined),
      },
    },
  };
}
