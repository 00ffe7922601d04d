import type { LeaseChanges } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import { headReader } from './receipts.ts';
import { sqliteTerms } from './requesters.ts';

/** The step in which a result is accepted, its receipt chained, and its job moved on: all of it or nothing. */
export function sqliteAcceptance(database: OpenDatabase): SqliteChanges<Pick<LeaseChanges, 'accept'>> {
  const { db } = database;
  const jobTerms = sqliteTerms(database);
  const selectWorker = db.prepare<[string, number], { worker: string }>(
    "SELECT worker FROM attempts WHERE shard_id = ? AND attempt = ? AND state IN ('submitted', 'disputed')",
  );
  const headOf = headReader(db);
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
    accept: {
      // Several that are answered together wait for the disk together.
      durable: 'together',
      apply({ shardId, attempt }, audited, receipt, hash, at) {
        const row = selectWorker.get(shardId, attempt);
        if (row === undefined) return 'over';
        const head = headOf(row.worker);
        if (receipt.sequence !== head.sequence + 1 || receipt.previousHash !== head.hash) return 'moved';
        insertReceipt.run(row.worker, receipt.sequence, shardId, hash, JSON.stringify(receipt));
        acceptAttempt.run(JSON.stringify({ type: 'accepted', receipt, audited }), at, shardId, attempt);
        finishShard.run(at, shardId);
        jobTerms.charge(shardId, receipt.units);
        countShard.run({ at, id: shardId });
        return 'accepted';
      },
    },
  };
}
