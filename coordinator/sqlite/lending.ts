import type { LeasingChanges, NewLease } from '../leasing/records.ts';
import type { Sequel } from '../store.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

/** Lends shards, renews leases and ends those that nobody renews. @param follow what becomes of a shard whose attempt has ended */
export function sqliteLending(
  { db }: OpenDatabase,
  follow: (shardId: string, sequel: Sequel, at: number) => void,
): SqliteChanges<LeasingChanges> {
  const takeShard = db.prepare<[number, string, number], { lot: number | null }>(
    "UPDATE shards SET state = 'leased', attempt = ? WHERE id = ? AND state = 'queued' AND attempt = ? - 1 RETURNING lot",
  );
  const takeAgain = db.prepare(
    `UPDATE shards SET attempt = :attempt WHERE id = :shardId AND state = 'leased' AND attempt = :attempt - 1
      AND (SELECT COUNT(*) FROM attempts t WHERE t.shard_id = shards.id AND t.state = 'leased' AND t.worker <> :worker) = 1
      AND NOT EXISTS (SELECT 1 FROM attempts t WHERE t.shard_id = shards.id AND t.worker = :worker)`,
  );
  const insertAttempt = db.prepare(
    `INSERT INTO attempts (shard_id, attempt, worker, payee, state, leased_at, deadline, expected_ms, cost_ms)
      VALUES (?, ?, ?, ?, 'leased', ?, ?, ?, ?)`,
  );
  const startJob = db.prepare("UPDATE jobs SET state = 'running' WHERE id = (SELECT job_id FROM shards WHERE id = ?) AND state = 'queued'");
  const catchUp = db.prepare(
    'UPDATE shares SET served_ms = MAX(served_ms, (SELECT p.clock_ms FROM shares p WHERE p.id = shares.parent) - ?) WHERE id = ?',
  );
  const moveClock = db.prepare(
    `UPDATE shares SET clock_ms = MAX(clock_ms + :cost / MAX(waiting, 1), (SELECT c.served_ms FROM shares c WHERE c.id = :child))
      WHERE id = (SELECT c.parent FROM shares c WHERE c.id = :child)`,
  );
  const serve = db.prepare('UPDATE shares SET served_ms = served_ms + ? WHERE id = ?');
  const selectParent = db.prepare<[number], { parent: number }>('SELECT parent FROM shares WHERE id = ?');
  const serveAsk = db.prepare(
    'UPDATE asks SET served_ms = served_ms + ? WHERE (requester, demand) = (SELECT parent, demand FROM shares WHERE id = ?)',
  );
  const renewAll = db.prepare<[number, string], { shardId: string; attempt: number }>(
    "UPDATE attempts SET deadline = ? WHERE worker = ? AND state = 'leased' RETURNING shard_id AS shardId, attempt",
  );
  const expire = db.prepare(
    `UPDATE attempts SET state = 'expired', reason = 'expired', settled_at = ?
      WHERE shard_id = ? AND attempt = ? AND state IN ('leased', 'submitted', 'disputed') AND deadline = ?`,
  );
  const see = db.prepare(
    'INSERT INTO machines VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET machine = excluded.machine, seen_at = excluded.seen_at',
  );

  const record = (lease: NewLease) => {
    const { shardId, attempt, worker, payee, leasedAt, deadline, expectedMs, costMs } = lease;
    insertAttempt.run(shardId, attempt, worker, payee, leasedAt, deadline, expectedMs, costMs);
  };
  const charge = (share: number, cost: number, lagMs: number) => {
    catchUp.run(lagMs, share);
    moveClock.run({ cost, child: share });
    serve.run(cost, share);
  };

  return {
    lend: {
      // Before the worker's own record of it can be: an attempt has its number once.
      durable: 'together',
      apply: (leases, lagMs) =>
        leases
          .filter((lease) => {
            const taken = takeShard.get(lease.attempt, lease.shardId, lease.attempt);
            if (taken === undefined) return false;
            record(lease);
            startJob.run(lease.shardId);
            if (taken.lot === null) return true;
            charge(selectParent.get(taken.lot)?.parent ?? 1, lease.costMs, lagMs);
            charge(taken.lot, lease.costMs, lagMs);
            serveAsk.run(lease.costMs, taken.lot);
            return true;
          })
          .map(({ shardId, attempt }) => ({ shardId, attempt })),
    },
    lendAgain: {
      durable: 'together',
      apply(lease) {
        const { shardId, attempt, worker } = lease;
        if (takeAgain.run({ shardId, attempt, worker }).changes === 0) return false;
        record(lease);
        return true;
      },
    },
    renewAll: {
      // Deadlines tell one renewal from the next; nobody reads the time from them.
      durable: 'later',
      apply: (worker, deadline) => renewAll.all(deadline, worker),
    },
    expire: {
      durable: 'together',
      apply({ shardId, attempt }, deadline, sequel, at) {
        if (expire.run(at, shardId, attempt, deadline).changes === 0) return false;
        follow(shardId, sequel, at);
        return true;
      },
    },
    seeMachine: {
      durable: 'later',
      apply(worker, machine, at) {
        see.run(worker, JSON.stringify(machine), at);
      },
    },
  };
}
