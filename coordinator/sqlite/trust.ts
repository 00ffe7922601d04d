import type { AppealRecord } from '../../core/contract/audits.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { AttemptKey } from '../store.ts';
import type { AuditRecord, CanarySource, Standing, TrustChanges, TrustReads } from '../trust/records.ts';
import { afterAudit, NEWCOMER, suspendedUntil } from '../trust/reputation.ts';
import type { Calibration } from '../trust/thresholds.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

/** Audits of one worker that are kept. Its standing counts all of them. */
const KEPT_AUDITS = 1000;

interface StandingRow {
  valid_in_a_row: number;
  offences: string;
  valid: number;
  bad: number;
  undecided: number;
  suspended_until: number | null;
}

interface AuditRow extends Omit<AuditRecord, 'shardId'> {
  shard_id: string;
}

interface SourceRow {
  shard: string;
  prompt_tokens: number;
  worker: string;
  outputs: string;
  added_at: number;
}

export function sqliteTrust({ db, read }: OpenDatabase): { reads: TrustReads; changes: SqliteChanges<TrustChanges> } {
  const selectStanding = db.prepare<[string], StandingRow>('SELECT * FROM standings WHERE worker = ?');
  const putStanding = db.prepare(
    `INSERT OR REPLACE INTO standings VALUES (:worker, :validInARow, :offences, :valid, :bad, :undecided, :suspendedUntil)`,
  );
  const lift = db.prepare('UPDATE standings SET suspended_until = NULL WHERE worker = ?');
  const insertAudit = db.prepare(
    `INSERT OR IGNORE INTO audits (shard_id, attempt, worker, at, outcome, means, distance, detail)
      VALUES (:shardId, :attempt, :worker, :at, :outcome, :means, :distance, :detail)`,
  );
  const trimAudits = db.prepare(
    `DELETE FROM audits WHERE worker = :worker AND number <=
      (SELECT number FROM audits WHERE worker = :worker ORDER BY number DESC LIMIT 1 OFFSET ${KEPT_AUDITS})`,
  );
  const selectAudits = db.prepare<[string, number], AuditRow>(
    `SELECT shard_id, attempt, worker, at, outcome, means, distance, detail FROM audits WHERE worker = ? ORDER BY number DESC LIMIT ?`,
  );
  const insertAppeal = db.prepare('INSERT OR IGNORE INTO appeals (shard_id, attempt, record) VALUES (?, ?, ?)');
  const trimAppeals = db.prepare<[number], { shard_id: string; attempt: number }>(
    `DELETE FROM appeals WHERE number <= (SELECT number FROM appeals ORDER BY number DESC LIMIT 1 OFFSET ?) RETURNING shard_id, attempt`,
  );
  const selectAppeals = db.prepare<[number], { record: string }>('SELECT record FROM appeals ORDER BY number DESC LIMIT ?');
  const selectAppeal = db.prepare<[string], { one: number }>("SELECT 1 AS one FROM appeals WHERE shard_id || '#' || attempt = ?");
  const putCalibration = db.prepare('INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?, ?)');
  const selectCalibrations = db.prepare<[string], { calibration: string }>('SELECT calibration FROM calibrations WHERE model = ?');
  const insertSource = db.prepare(
    `INSERT OR IGNORE INTO canary_sources (shard_id, worker, prompt_tokens, outputs, added_at, shard) VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const trimSources = db.prepare<[number], { shard_id: string }>(
    `DELETE FROM canary_sources WHERE number <= (SELECT number FROM canary_sources ORDER BY number DESC LIMIT 1 OFFSET ?) RETURNING shard_id`,
  );
  const selectSource = db.prepare<[string], { outputs: string }>('SELECT outputs FROM canary_sources WHERE shard_id = ?');
  const selectSources = db.prepare<[{ worker: string; limit: number }], SourceRow>(
    `SELECT shard, prompt_tokens, worker, outputs, added_at FROM canary_sources WHERE worker <> :worker
      AND NOT EXISTS (SELECT 1 FROM canaries c WHERE c.source = canary_sources.shard_id AND c.worker = :worker)
      ORDER BY number DESC LIMIT :limit`,
  );
  // Who was given which is to be known as long as the source may be given again, and the answer as long as somebody may hand one in.
  const trimCanaries = db.prepare(
    'DELETE FROM canaries WHERE source NOT IN (SELECT shard_id FROM canary_sources) AND shard_id NOT IN (SELECT id FROM shards)',
  );
  const insertCanary = db.prepare('INSERT INTO canaries VALUES (?, ?, ?, ?)');
  const rememberGiven = db.prepare('INSERT OR IGNORE INTO canaries VALUES (?, ?, ?, ?)');
  const selectCanary = db.prepare<[string], { source: string; outputs: string }>('SELECT source, outputs FROM canaries WHERE shard_id = ?');
  const insertShard = db.prepare(
    "INSERT OR IGNORE INTO shards (id, job_id, origin, state, attempt, prompt_tokens, created_at, shard) VALUES (?, ?, ?, 'queued', 0, ?, ?, ?)",
  );

  const standingOf = (worker: string): Standing => {
    const row = selectStanding.get(worker);
    if (row === undefined) return { ...NEWCOMER, valid: 0, bad: 0, undecided: 0, suspendedUntil: null };
    return {
      validInARow: row.valid_in_a_row,
      offences: JSON.parse(row.offences) as number[],
      valid: row.valid,
      bad: row.bad,
      undecided: row.undecided,
      suspendedUntil: row.suspended_until,
    };
  };

  return {
    reads: {
      standing: (worker) => read(() => standingOf(worker)),
      async audits(worker, limit) {
        return read(() => selectAudits.all(worker, limit)).map(({ shard_id, ...rest }) => ({ shardId: shard_id, ...rest }));
      },
      async appeals(limit) {
        return read(() => selectAppeals.all(limit)).map(({ record }) => JSON.parse(record) as AppealRecord);
      },
      async calibrations(model) {
        return read(() => selectCalibrations.all(model)).map(({ calibration }) => JSON.parse(calibration) as Calibration);
      },
      async isKept(holder) {
        return (
          read(() => selectSource.get(holder.slice('canary:'.length)) ?? selectAppeal.get(holder.slice('appeal:'.length))) !== undefined
        );
      },
      async canaryAnswer(shardId) {
        return read(() => selectCanary.get(shardId)) ?? null;
      },
      async canariesFor(worker, limit) {
        return read(() => selectSources.all({ worker, limit })).map(
          (row): CanarySource => ({
            shard: JSON.parse(row.shard) as Shard,
            promptTokens: row.prompt_tokens,
            worker: row.worker,
            outputs: row.outputs,
            addedAt: row.added_at,
          }),
        );
      },
    },
    changes: {
      recordAudit: {
        durable: 'together',
        apply(audit) {
          const before = standingOf(audit.worker);
          if (insertAudit.run({ ...audit }).changes === 0) return before;
          trimAudits.run({ worker: audit.worker });
          const reputation = afterAudit(before, audit.outcome, audit.at);
          const after: Standing = { ...before, ...reputation, [audit.outcome]: before[audit.outcome] + 1 };
          if (audit.outcome === 'bad') after.suspendedUntil = suspendedUntil(after.offences) ?? before.suspendedUntil;
          putStanding.run({ ...after, worker: audit.worker, offences: JSON.stringify(after.offences) });
          return after;
        },
      },
      liftSuspension: {
        durable: 'at once',
        apply(worker) {
          lift.run(worker);
        },
      },
      addAppeal: {
        durable: 'together',
        apply(appeal, keep) {
          insertAppeal.run(appeal.shardId, appeal.attempt, JSON.stringify(appeal));
          return trimAppeals.all(keep).map(({ shard_id, attempt }): AttemptKey => ({ shardId: shard_id, attempt }));
        },
      },
      setCalibration: {
        durable: 'at once',
        apply(calibration) {
          putCalibration.run(calibration.model, calibration.claimed, calibration.reference, JSON.stringify(calibration));
        },
      },
      keepCanary: {
        durable: 'later',
        apply({ shard, worker, promptTokens, outputs, addedAt }, keep, given) {
          insertSource.run(shard.id, worker, promptTokens, outputs, addedAt, JSON.stringify(shard));
          if (given !== null) rememberGiven.run(given.shardId, shard.id, given.worker, outputs);
          const gone = trimSources.all(keep).map(({ shard_id }) => shard_id);
          if (gone.length > 0) trimCanaries.run();
          return gone;
        },
      },
      issueCanary: {
        durable: 'later',
        apply({ shard, promptTokens, createdAt }, source, worker) {
          const known = selectSource.get(source);
          if (known === undefined) return false;
          // A name that is taken, by chance, is no canary.
          if (insertShard.run(shard.id, shard.jobId, shard.origin, promptTokens, createdAt, JSON.stringify(shard)).changes === 0)
            return false;
          insertCanary.run(shard.id, source, worker, known.outputs);
          return true;
        },
      },
    },
  };
}
