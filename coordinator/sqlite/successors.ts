import { payoutAt } from '../joining/payouts.ts';
import type { FormerWorker, SuccessorChanges, SuccessorReads } from '../joining/successors.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import type { PayoutBook } from './payouts.ts';

interface Standing {
  worker: string;
  payee: string;
  revoked_at: number | null;
}

/** A machine that changes its key more often has its vouchers of longer ago. */
const MAX_FORMER = 16;

/** @param payouts where whom workers earn for is on record */
export function sqliteSuccessors(
  { db, read }: OpenDatabase,
  payouts: PayoutBook,
): { reads: SuccessorReads; changes: SqliteChanges<SuccessorChanges> } {
  const selectFormer = db.prepare<[{ worker: string; limit: number }], FormerWorker>(
    `WITH RECURSIVE line (worker, payee, steps) AS (
      SELECT former, former_payee, 1 FROM successors WHERE worker = :worker
      UNION ALL SELECT s.former, s.former_payee, steps + 1 FROM successors s, line WHERE s.worker = line.worker AND steps < :limit
    ) SELECT worker, payee FROM line ORDER BY steps`,
  );
  const selectInPlace = db.prepare<[{ worker: string; limit: number }], { nkey: string }>(
    `WITH RECURSIVE line (worker, steps) AS (
      SELECT :worker, 1 UNION ALL SELECT s.worker, steps + 1 FROM successors s, line WHERE s.former = line.worker AND steps < :limit
    ) SELECT m.nkey FROM line JOIN members m ON m.worker = line.worker AND m.revoked_at IS NULL ORDER BY steps DESC LIMIT 1`,
  );
  const selectMember = db.prepare<[string], Standing>('SELECT worker, payee, revoked_at FROM members WHERE nkey = ?');
  const selectDone = db.prepare<[string, string, string], unknown>(
    'SELECT 1 FROM successors WHERE former_nkey = ? AND nkey = ? AND worker = ?',
  );
  const selectWorker = db.prepare<[string, string], unknown>('SELECT 1 FROM members WHERE worker = ? OR nkey = ?');
  const insertMember = db.prepare('INSERT INTO members (nkey, worker, payee, version, joined_at) VALUES (?, ?, ?, ?, ?)');
  const shutOut = db.prepare("UPDATE members SET revoked_at = ?, revoked_why = 'replaced' WHERE worker = ? AND revoked_at IS NULL");
  const insert = db.prepare('INSERT INTO successors VALUES (?, ?, ?, ?, ?, ?)');
  // Trust grows anew; what was done wrong is not forgotten.
  const standOn = db.prepare(
    `INSERT INTO standings (worker, valid_in_a_row, offences, valid, bad, undecided, suspended_until)
      SELECT ?, 0, offences, valid, bad, undecided, suspended_until FROM standings WHERE worker = ?`,
  );

  return {
    reads: {
      async formerWorkers(worker) {
        return read(() => selectFormer.all({ worker, limit: MAX_FORMER }));
      },
      async nkeyInPlaceOf(worker) {
        return read(() => selectInPlace.get({ worker, limit: MAX_FORMER }))?.nkey ?? null;
      },
    },
    changes: {
      succeed: {
        durable: 'at once',
        apply(formerNkey, { nkey, worker, payee, version }, at) {
          const former = selectMember.get(formerNkey);
          if (former === undefined) return 'unknown';
          // The answer may have been lost: the same machine asks again with the same keys.
          if (selectDone.get(formerNkey, nkey, worker) !== undefined) return 'succeeded';
          if (former.revoked_at !== null) return 'revoked';
          if (selectWorker.get(worker, nkey) !== undefined) return 'taken';
          insertMember.run(nkey, worker, payee, version, at);
          shutOut.run(at, former.worker);
          insert.run(worker, nkey, former.worker, formerNkey, former.payee, at);
          standOn.run(worker, former.worker);
          // The wallet that may speak of the one speaks of the other, and a change of payee that waits goes on waiting.
          const paid = payouts.find(former.worker);
          if (paid !== null) payouts.put({ ...payoutAt(paid, at), worker, payee, delegation: null, revokedUpTo: null });
          return 'succeeded';
        },
      },
    },
  };
}
