import type { LeasingChanges, LeasingReads } from '../leasing/records.ts';
import type { LeaseChanges, LeaseReads, Sequel } from '../store.ts';
import { sqliteAcceptance } from './acceptance.ts';
import type { SqliteChanges } from './change.ts';
import { sqliteLeasing } from './leasing.ts';
import { sqliteLending } from './lending.ts';
import type { OpenDatabase } from './open.ts';
import { type AttemptRow, attemptFrom, type ShardRow, shardFrom, toNullableJson } from './rows.ts';

const endAttempt = 'UPDATE attempts SET state = ?, reason = ?, failure = ?, settled_at = ? WHERE shard_id = ? AND attempt = ?';

export function sqliteLeases(database: OpenDatabase): {
  reads: LeaseReads & LeasingReads;
  changes: SqliteChanges<LeaseChanges & LeasingChanges>;
} {
  const { db, read } = database;
  const selectShard = db.prepare<[string], ShardRow>('SELECT * FROM shards WHERE id = ?');
  const selectAttempt = db.prepare<[string, number], AttemptRow>('SELECT * FROM attempts WHERE shard_id = ? AND attempt = ?');
  const selectAttempts = db.prepare<[string], AttemptRow>('SELECT * FROM attempts WHERE shard_id = ? ORDER BY attempt');
  const selectOpen = db.prepare<[], AttemptRow>(
    "SELECT * FROM attempts WHERE state IN ('leased', 'submitted', 'disputed') ORDER BY deadline",
  );
  const end = {
    leased: db.prepare(`${endAttempt} AND state = 'leased'`),
    submitted: db.prepare(`${endAttempt} AND state IN ('submitted', 'disputed')`),
  };
  const commit = db.prepare(
    "UPDATE attempts SET state = 'submitted', submission = ?, run_ms = ? WHERE shard_id = ? AND attempt = ? AND state = 'leased'",
  );
  const settle = db.prepare("UPDATE shards SET state = 'settling' WHERE id = ? AND state = 'leased'");
  const draw = db.prepare('UPDATE attempts SET audit = ? WHERE shard_id = ? AND attempt = ? AND audit IS NULL');
  const dispute = db.prepare("UPDATE attempts SET state = 'disputed' WHERE shard_id = ? AND attempt = ? AND state = 'submitted'");
  const reject = db.prepare(
    `UPDATE attempts SET state = 'rejected', reason = 'failed', failure = ?, reply = ?, settled_at = ?
      WHERE shard_id = ? AND attempt = ? AND state IN ('submitted', 'disputed')`,
  );
  // Unless another machine has it too.
  const requeue = db.prepare(
    `UPDATE shards SET state = COALESCE(
        (SELECT CASE WHEN MAX(t.state <> 'leased') THEN 'settling' ELSE 'leased' END FROM attempts t
          WHERE t.shard_id = shards.id AND t.state IN ('leased', 'submitted', 'disputed') HAVING COUNT(*) > 0),
        'queued') WHERE id = ?`,
  );
  const rest = db.prepare(
    `UPDATE jobs SET state = 'queued' WHERE id = (SELECT job_id FROM shards WHERE id = :id) AND state = 'running'
      AND NOT EXISTS (SELECT 1 FROM shards o WHERE o.job_id = jobs.id AND o.state IN ('leased', 'settling'))`,
  );
  const failShard = db.prepare("UPDATE shards SET state = 'failed', settled_at = ? WHERE id = ?");
  const failJob = db.prepare(
    "UPDATE jobs SET state = 'failed', error = ?, finished_at = ? WHERE id = (SELECT job_id FROM shards WHERE id = ?) AND state IN ('queued', 'running')",
  );

  // Nobody needs what is left of a job that has failed.
  const dropRest = [
    `UPDATE attempts SET state = 'cancelled', settled_at = :at, reply = '{"type":"expired"}'
      WHERE state IN ('leased', 'submitted', 'disputed') AND shard_id IN (SELECT id FROM shards WHERE job_id = :job)`,
    "UPDATE shards SET state = 'cancelled', settled_at = :at WHERE job_id = :job AND state IN ('queued', 'leased', 'settling')",
  ].map((sql) => db.prepare(sql));

  const follow = (shardId: string, sequel: Sequel, at: number): void => {
    if (sequel.state === 'queued') {
      requeue.run(shardId);
      rest.run({ id: shardId });
    } else {
      failShard.run(at, shardId);
      if (failJob.run(JSON.stringify(sequel.failure), at, shardId).changes === 0) return;
      const job = selectShard.get(shardId)?.job_id;
      for (const statement of dropRest) statement.run({ at, job });
    }
  };

  return {
    reads: {
      ...sqliteLeasing(database),
      async shard(id) {
        const row = read(() => selectShard.get(id));
        return row === undefined ? null : shardFrom(row);
      },
      async attempt({ shardId, attempt }) {
        const row = read(() => selectAttempt.get(shardId, attempt));
        return row === undefined ? null : attemptFrom(row);
      },
      async attemptsOf(shardId) {
        return read(() => selectAttempts.all(shardId)).map(attemptFrom);
      },
      async openAttempts() {
        return read(() => selectOpen.all()).map(attemptFrom);
      },
    },
    changes: {
      ...sqliteAcceptance(database),
      ...sqliteLending(database, follow),
      endAttempt: {
        durable: 'together',
        apply({ shardId, attempt }, from, { state, reason, failure }, sequel, at) {
          if (end[from].run(state, reason, toNullableJson(failure), at, shardId, attempt).changes === 0) return false;
          follow(shardId, sequel, at);
          return true;
        },
      },
      commit: {
        // The acceptance that follows makes all of it durable.
        durable: 'later',
        apply(submission) {
          const { shardId, attempt, runMs } = submission;
          if (commit.run(JSON.stringify(submission), runMs, shardId, attempt).changes === 0) return false;
          settle.run(shardId);
          return true;
        },
      },
      drawAudit: {
        durable: 'later',
        apply({ shardId, attempt }, audit) {
          draw.run(audit ? 1 : 0, shardId, attempt);
          return selectAttempt.get(shardId, attempt)?.audit === 1;
        },
      },
      dispute: {
        durable: 'together',
        apply({ shardId, attempt }) {
          dispute.run(shardId, attempt);
        },
      },
      reject: {
        durable: 'together',
        apply({ shardId, attempt }, reply, failure, sequel, at) {
          if (reject.run(JSON.stringify(failure), JSON.stringify(reply), at, shardId, attempt).changes === 0) return false;
          follow(shardId, sequel, at);
          return true;
        },
      },
    },
  };
}
