import type { StagingChanges, StagingReads } from '../staging/records.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

interface DriverRow {
  coordinator: string;
  seen_at: number;
}

export function sqliteStaging({ db, read }: OpenDatabase): { reads: StagingReads; changes: SqliteChanges<StagingChanges> } {
  const select = db.prepare<[string], DriverRow>('SELECT coordinator, seen_at FROM drivers WHERE job_id = ?');
  const upsert = db.prepare(
    `INSERT INTO drivers SELECT id, ?, ? FROM jobs WHERE id = ?
      ON CONFLICT (job_id) DO UPDATE SET coordinator = excluded.coordinator, seen_at = excluded.seen_at`,
  );
  const selectResult = db.prepare<[string, number], { commitment: string; units: number }>(
    'SELECT commitment, units FROM stage_results WHERE shard_id = ? AND attempt = ?',
  );
  // Few kinds of work are stages, so it begins with those.
  const selectWaiting = db.prepare<[], { job_id: string; begun: number }>(
    `SELECT l.job_id, MAX(EXISTS (
        SELECT 1 FROM shards s WHERE s.job_id = l.job_id AND s.state IN ('leased', 'settling', 'done'))) AS begun
      FROM demands d JOIN asks a ON a.demand = d.id AND a.queued > 0
      JOIN shares l INDEXED BY lots_waiting ON l.parent = a.requester AND l.demand = d.id AND l.queued > 0
      WHERE d.queued > 0 AND json_extract(d.demand, '$.stage') = 1 AND l.job_id IS NOT NULL GROUP BY l.job_id`,
  );
  const insertResult = db.prepare('INSERT OR REPLACE INTO stage_results SELECT id, ?, ?, ? FROM shards WHERE id = ?');

  return {
    reads: {
      async stagedWaiting() {
        return read(() => selectWaiting.all()).map(({ job_id, begun }) => ({ jobId: job_id, begun: begun === 1 }));
      },
      async stageResult({ shardId, attempt }) {
        return read(() => selectResult.get(shardId, attempt)) ?? null;
      },
      async driver(jobId) {
        const row = read(() => select.get(jobId));
        return row === undefined ? null : { coordinator: row.coordinator, seenAt: row.seen_at };
      },
    },
    changes: {
      expectResult: {
        durable: 'together',
        apply({ shardId, attempt }, { commitment, units }) {
          insertResult.run(attempt, commitment, units, shardId);
        },
      },
      drive: {
        // Who forgot it drives nothing any more either.
        durable: 'later',
        apply(jobId, coordinator, at, staleBefore) {
          const row = select.get(jobId);
          if (row !== undefined && row.coordinator !== coordinator && row.seen_at >= staleBefore) return row.coordinator;
          upsert.run(coordinator, at, jobId);
          return coordinator;
        },
      },
    },
  };
}
