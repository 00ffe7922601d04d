import type { JobChanges, JobReads, ShardRecord } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import { lotFinder } from './leasing.ts';
import type { OpenDatabase } from './open.ts';
import { SELECT_JOBS, sqliteTerms } from './requesters.ts';
import { type AttemptRow, attemptFrom, type JobRow, jobFrom, type ShardRow, shardFrom, toNullableJson } from './rows.ts';

/** Whose share the jobs of this machine's owner count to. No requester's key has this id. */
const OWNER = '';
const OPEN_ATTEMPTS = "('leased', 'submitted', 'disputed')";

export function sqliteJobs(database: OpenDatabase, network: string): { reads: JobReads; changes: SqliteChanges<JobChanges> } {
  const { db, read } = database;
  const jobTerms = sqliteTerms(database);
  const insertJob = db.prepare('INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const insertShard = db.prepare(
    'INSERT INTO shards (id, job_id, origin, state, attempt, prompt_tokens, created_at, shard, lot) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const takeNumber = db.prepare("UPDATE counters SET value = value + 1 WHERE name = 'practice' RETURNING value - 1 AS number");
  const selectJob = db.prepare<[string], JobRow>(`${SELECT_JOBS} WHERE jobs.id = ?`);
  const selectJobs = db.prepare<[number], JobRow>(`${SELECT_JOBS} ORDER BY jobs.created_at DESC, jobs.rowid DESC LIMIT ?`);
  const selectShard = db.prepare<[string], { id: string }>('SELECT id FROM shards WHERE id = ?');
  const selectRequester = db.prepare<[string], { requester: string | null }>('SELECT requester FROM job_terms WHERE job_id = ?');
  const selectShards = db.prepare<[string], ShardRow>('SELECT * FROM shards WHERE job_id = ? ORDER BY id');
  const selectRevoked = db.prepare<[string], AttemptRow>(
    `SELECT a.* FROM attempts a JOIN shards s ON s.id = a.shard_id WHERE s.job_id = ? AND a.state IN ${OPEN_ATTEMPTS}`,
  );
  const cancel = [
    `UPDATE attempts SET state = 'cancelled', settled_at = :at, reply = '{"type":"expired"}'
      WHERE state IN ${OPEN_ATTEMPTS} AND shard_id IN (SELECT id FROM shards WHERE job_id = :id)`,
    "UPDATE shards SET state = 'cancelled', settled_at = :at WHERE job_id = :id AND state IN ('queued', 'leased', 'settling')",
    "UPDATE jobs SET state = 'cancelled', finished_at = :at WHERE id = :id",
  ].map((sql) => db.prepare(sql));
  const selectOver = db.prepare<[number], { id: string }>('SELECT id FROM jobs WHERE finished_at < ?');
  const over =
    "SELECT id FROM shards WHERE settled_at < :at AND state IN ('done', 'failed', 'cancelled') AND (origin = 'practice' OR job_id IN (SELECT id FROM jobs WHERE finished_at < :at) OR job_id NOT IN (SELECT id FROM jobs))";
  const forget = [
    `DELETE FROM attempts WHERE shard_id IN (${over})`,
    `DELETE FROM shards WHERE id IN (${over})`,
    'DELETE FROM jobs WHERE finished_at < :at',
  ].map((sql) => db.prepare(sql));

  const lotOf = lotFinder(database);
  const addShard = ({ shard, state, attempt, promptTokens, createdAt }: ShardRecord, lot: number | null): void => {
    insertShard.run(shard.id, shard.jobId, shard.origin, state, attempt, promptTokens, createdAt, JSON.stringify(shard), lot);
  };

  return {
    reads: {
      async job(id) {
        const row = read(() => selectJob.get(id));
        return row === undefined ? null : jobFrom(network, row);
      },
      async jobs(limit) {
        return read(() => selectJobs.all(limit)).map((row) => jobFrom(network, row));
      },
      async shardsOf(jobId) {
        return read(() => selectShards.all(jobId)).map(shardFrom);
      },
      async jobsOverBefore(at) {
        return read(() => selectOver.all(at)).map((row) => row.id);
      },
    },
    changes: {
      addJob: {
        durable: 'at once',
        apply({ id, kind, state, createdAt, finishedAt, accepted, error, shards: count }, shards, terms = null) {
          if (selectJob.get(id) !== undefined) return 'known';
          const refused = terms === null ? undefined : jobTerms.check(terms);
          if (refused !== undefined) return refused;
          insertJob.run(id, kind, state, createdAt, finishedAt, count, accepted, toNullableJson(error));
          for (const shard of shards) addShard(shard, lotOf(shard, terms?.requester ?? OWNER));
          if (terms !== null) jobTerms.insert(id, terms);
          return 'added';
        },
      },
      addStage: {
        durable: 'at once',
        apply(record) {
          const job = selectJob.get(record.shard.jobId);
          if ((job?.state !== 'queued' && job?.state !== 'running') || selectShard.get(record.shard.id) !== undefined) return false;
          addShard(record, lotOf(record, selectRequester.get(record.shard.jobId)?.requester ?? OWNER));
          return true;
        },
      },
      takePracticeNumber: {
        durable: 'later',
        apply: () => (takeNumber.get() as { number: number }).number,
      },
      addPractice: {
        durable: 'later',
        apply: (shard) => addShard(shard, null),
      },
      cancelJob: {
        durable: 'at once',
        apply(id, at) {
          const before = selectJob.get(id);
          if (before === undefined || (before.state !== 'queued' && before.state !== 'running')) return null;
          const revoked = selectRevoked.all(id).map(attemptFrom);
          for (const statement of cancel) statement.run({ id, at });
          return { job: jobFrom(network, { ...before, state: 'cancelled', finished_at: at }), revoked };
        },
      },
      forgetBefore: {
        durable: 'at once',
        apply(at) {
          for (const statement of forget) statement.run({ at });
        },
      },
    },
  };
}
