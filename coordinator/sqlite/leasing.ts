import { canonicalJson } from '../../core/contract/digest.ts';
import { type Demand, demandOf, type Machine } from '../leasing/demand.ts';
import type { LeasingReads } from '../leasing/records.ts';
import type { ShardRecord } from '../store.ts';
import type { OpenDatabase } from './open.ts';
import { type AttemptRow, attemptFrom, type ShardRow, shardFrom } from './rows.ts';

/** Parsed demands that are kept; they are asked for with every lease. */
const KEPT_DEMANDS = 4096;

/** What waits, for whom and for how long: the counts that triggers keep (migrations/0004-leasing.ts), read. */
export function sqliteLeasing({ db, read }: OpenDatabase): LeasingReads {
  const parsed = new Map<string, Demand>();
  const demandFrom = (text: string): Demand => {
    let demand = parsed.get(text);
    if (demand === undefined) {
      if (parsed.size >= KEPT_DEMANDS) parsed.clear();
      demand = JSON.parse(text) as Demand;
      parsed.set(text, demand);
    }
    return demand;
  };
  const selectDemands = db.prepare<[number], { id: number; demand: string; queued: number }>(
    'SELECT id, demand, queued FROM demands WHERE queued > 0 ORDER BY id LIMIT ?',
  );
  const selectClock = db.prepare<[number], { clock_ms: number }>('SELECT clock_ms FROM shares WHERE id = ?');
  const selectAsks = db.prepare<[string, number], { requester: number; demand: number; served_ms: number; clock_ms: number }>(
    `SELECT r.id AS requester, a.demand, r.served_ms, r.clock_ms
      FROM shares r INDEXED BY requesters_waiting CROSS JOIN asks a INDEXED BY asks_waiting ON a.requester = r.id
      WHERE r.parent = 1 AND r.queued > 0 AND a.queued > 0 AND a.demand IN (SELECT value FROM json_each(?))
      ORDER BY r.served_ms, r.id, a.served_ms LIMIT ?`,
  );
  const selectLots = db.prepare<[number, number, number], { id: number; served_ms: number; queued: number }>(
    'SELECT id, served_ms, queued FROM shares WHERE parent = ? AND demand = ? AND queued > 0 ORDER BY served_ms, id LIMIT ?',
  );
  const failedHere =
    "EXISTS (SELECT 1 FROM attempts t WHERE t.shard_id = s.id AND t.worker = :worker AND t.state IN ('failed', 'rejected'))";
  const waiting = (which: string) =>
    db.prepare<{ lot: number; worker: string; limit: number }, ShardRow>(
      `SELECT s.* FROM shards s WHERE s.lot = :lot AND s.state = 'queued' AND ${which} ORDER BY s.rowid LIMIT :limit`,
    );
  const selectWaiting = [
    waiting(`s.attempt > 0 AND NOT ${failedHere}`),
    waiting('s.attempt = 0 AND :worker IS NOT NULL'),
    waiting(`s.attempt > 0 AND ${failedHere}`),
  ];
  const selectPractice = db.prepare<[], ShardRow>(
    "SELECT * FROM shards WHERE state = 'queued' AND origin = 'practice' ORDER BY created_at, rowid LIMIT 1",
  );
  const selectLine = db.prepare<[string], { demand: string; queued: number }>(
    `SELECT d.demand, (SELECT SUM(o.queued) FROM shares o WHERE o.job_id = l.job_id) AS queued
      FROM shards s JOIN shares l ON l.id = s.lot JOIN demands d ON d.id = l.demand WHERE s.id = ?`,
  );
  const selectOfJob = db.prepare<[string], { demand: string }>(
    'SELECT d.demand FROM shares l JOIN demands d ON d.id = l.demand WHERE l.job_id = ? AND l.queued > 0',
  );
  const selectQueued = db.prepare<[string], { all: number; own: number }>(
    `SELECT queued AS "all", COALESCE((SELECT r.queued FROM shares r WHERE r.parent = 1 AND r.name = ?), 0) AS own FROM shares WHERE id = 1`,
  );
  const selectPace = db.prepare<[string, string, string], { samples: number; shard_ms: number; unit_ms: number }>(
    'SELECT samples, shard_ms, unit_ms FROM paces WHERE worker = ? AND model = ? AND unit = ?',
  );
  const selectOpen = db.prepare<[string], AttemptRow>(
    "SELECT * FROM attempts WHERE worker = ? AND state IN ('leased', 'submitted', 'disputed') ORDER BY leased_at, shard_id",
  );
  const selectMachines = db.prepare<[number], { machine: string }>('SELECT machine FROM machines WHERE seen_at >= ?');

  return {
    async waitingDemands(limit) {
      return read(() => selectDemands.all(limit)).map(({ id, demand, queued }) => ({ id, demand: demandFrom(demand), queued }));
    },
    async waitingLots(demands, here, limits, lagMs) {
      return read(() => {
        const clock = selectClock.get(1)?.clock_ms ?? 0;
        const asks = selectAsks.all(JSON.stringify(demands), limits.asks);
        for (const ask of here.length === 0 ? [] : selectAsks.all(JSON.stringify(here), limits.asks)) {
          if (!asks.some(({ requester, demand }) => requester === ask.requester && demand === ask.demand)) asks.push(ask);
        }
        return asks.flatMap((ask) =>
          selectLots.all(ask.requester, ask.demand, limits.lots).map(({ id, served_ms, queued }) => ({
            lot: id,
            requester: ask.requester,
            demand: ask.demand,
            requesterServedMs: Math.max(ask.served_ms, clock - lagMs),
            lotServedMs: Math.max(served_ms, ask.clock_ms - lagMs),
            queued,
          })),
        );
      });
    },
    async waitingShards(lot, worker, limit, evenFailedHere) {
      return read(() => {
        const rows: ShardRow[] = [];
        for (const statement of evenFailedHere ? selectWaiting : selectWaiting.slice(0, 2)) {
          if (rows.length < limit) rows.push(...statement.all({ lot, worker, limit: limit - rows.length }));
        }
        return rows.map(shardFrom);
      });
    },
    async waitingPractice() {
      const row = read(() => selectPractice.get());
      return row === undefined ? null : shardFrom(row);
    },
    async lineOf(shardId) {
      const row = read(() => selectLine.get(shardId));
      return row === undefined ? null : { demand: demandFrom(row.demand), jobQueued: row.queued };
    },
    async demandsOfJob(jobId) {
      return read(() => selectOfJob.all(jobId)).map(({ demand }) => demandFrom(demand));
    },
    async queueLength(requester) {
      return read(() => selectQueued.get(requester)) ?? { all: 0, own: 0 };
    },
    async paces(worker, model, unit) {
      const paceOf = (whose: string) => {
        const row = read(() => selectPace.get(whose, model, unit));
        return row === undefined ? null : { samples: row.samples, shardMs: row.shard_ms, unitMs: row.unit_ms };
      };
      return { own: paceOf(worker), all: paceOf('') };
    },
    async openAttemptsOf(worker) {
      return read(() => selectOpen.all(worker)).map(attemptFrom);
    },
    async machinesSeenSince(at) {
      return read(() => selectMachines.all(at)).map((row) => JSON.parse(row.machine) as Machine);
    },
  };
}

/** Puts a shard that is added into its lot: those of its job that ask the same. */
export function lotFinder({ db }: OpenDatabase): (record: ShardRecord, requester: string) => number {
  const addDemand = db.prepare('INSERT INTO demands (demand) VALUES (?) ON CONFLICT DO NOTHING');
  const selectDemand = db.prepare<[string], { id: number }>('SELECT id FROM demands WHERE demand = ?');
  const addShare = db.prepare(
    `INSERT INTO shares (parent, name, job_id, demand, served_ms)
      SELECT p.id, :name, :job, :demand, p.clock_ms FROM shares p WHERE p.id = :parent ON CONFLICT DO NOTHING`,
  );
  const selectShare = db.prepare<[number, string], { id: number }>('SELECT id FROM shares WHERE parent = ? AND name = ?');
  const addAsk = db.prepare(
    'INSERT INTO asks (requester, demand, served_ms) SELECT id, ?, clock_ms FROM shares WHERE id = ? ON CONFLICT DO NOTHING',
  );
  const idOf = (row: { id: number } | undefined) => row?.id ?? 0;

  const share = (parent: number, name: string, job: string | null, demand: number | null): number => {
    const found = selectShare.get(parent, name);
    if (found !== undefined) return found.id;
    addShare.run({ parent, name, job, demand });
    return idOf(selectShare.get(parent, name));
  };
  return ({ shard, needs }, requester) => {
    const text = canonicalJson(demandOf(shard, needs));
    addDemand.run(text);
    const demand = idOf(selectDemand.get(text));
    const parent = share(1, requester, null, null);
    addAsk.run(demand, parent);
    return share(parent, `${shard.jobId}/${demand}`, shard.jobId, demand);
  };
}
