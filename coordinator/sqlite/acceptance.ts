import { FIRST_PREVIOUS_HASH, type WorkReceipt } from '../../core/contract/receipt.ts';
import type { LeaseStore, ReceiptHead } from '../store.ts';
import type { OpenDatabase } from './open.ts';

/** The step in which a result is accepted, its receipt chained, and its job moved on: all of it or nothing. */
export function sqliteAcceptance({ db, stepSoon, synced }: OpenDatabase): Pick<LeaseStore, 'accept'> {
  const selectWorker = db.prepare<[string, number], { worker: string }>(
    "SELECT worker FROM attempts WHERE shard_id = ? AND attempt = ? AND state IN ('submitted', 'disputed')",
  );
  const selectHead = db.prepare<[string], ReceiptHead>(
    'SELECT sequence, hash FROM receipts WHERE worker = ? ORDER BY sequence DESC LIMIT 1',
  );
  const insertReceipt = db.prepare('INSERT INTO receipts VALUES (?, ?, ?, ?, ?)');
  const acceptAttempt = db.prepare("UPDATE attempts SET state = 'accepted', reply = ?, settled_at = ? WHERE shard_id = ? AND attempt = ?");
  const finishShard = db.prepare("UPDATE shards SET state = 'done', settled_at = ? WHERE id = ?");
  const countShard = db.prepare(
    `UPDATE jobs SET accepted = accepted + 1,
        state = CASE WHEN accepted + 1 = shards THEN 'done' ELSE state END,
        finished_at = CASE WHEN accepted + 1 = shards THEN :at ELSE finished_at END
      WHERE id = (SELECT job_id FROM shards WHERE id = :id)`,
  );

  return {
    async accept({ shardId, attempt }, audited, chain, at): Promise<WorkReceipt | null> {
      const accepted = stepSoon(() =>
        db.transaction(() => {
          const row = selectWorker.get(shardId, attempt);
          if (row === undefined) return null;
          const { receipt, hash } = chain(selectHead.get(row.worker) ?? { sequence: 0, hash: FIRST_PREVIOUS_HASH });
          insertReceipt.run(row.worker, receipt.sequence, shardId, hash, JSON.stringify(receipt));
          acceptAttempt.run(JSON.stringify({ type: 'accepted', receipt, audited }), at, shardId, attempt);
          finishShard.run(at, shardId);
          countShard.run({ at, id: shardId });
          return receipt;
        })(),
      );
      // Several that are answered together wait for the disk together.
      await synced();
      return accepted;
    },
  };
}
