import type { PeerChanges, PeerReads } from '../operating/peers.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

/** A coordinator that was not heard of for so long does not come back under its name. */
const FORGOTTEN_MS = 86_400_000;

export function sqlitePeers({ db, read }: OpenDatabase): { reads: PeerReads; changes: SqliteChanges<PeerChanges> } {
  const upsert = db.prepare(
    'INSERT INTO peers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET urls = excluded.urls, seen_at = excluded.seen_at',
  );
  const remove = db.prepare('DELETE FROM peers WHERE id = ?');
  const forget = db.prepare('DELETE FROM peers WHERE seen_at < ?');
  const select = db.prepare<[number], { id: string; urls: string }>('SELECT id, urls FROM peers WHERE seen_at >= ? ORDER BY id');
  return {
    reads: {
      async peersSince(at) {
        return read(() => select.all(at)).map(({ id, urls }) => ({ id, urls: JSON.parse(urls) as string[] }));
      },
    },
    changes: {
      // Said again every minute.
      seePeer: {
        durable: 'later',
        apply(id, urls, at) {
          forget.run(at - FORGOTTEN_MS);
          upsert.run(id, JSON.stringify(urls), at);
        },
      },
      losePeer: {
        durable: 'later',
        apply(id) {
          remove.run(id);
        },
      },
    },
  };
}
