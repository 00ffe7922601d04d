import { type AssetId, isPracticeCredit } from '../../core/contract/money.ts';
import type { Address, WorkReceipt } from '../../core/contract/receipt.ts';
import { splitAmount } from '../../core/contract/vouching.ts';
import type { Counts, OperatorReads, WorkerCounts } from '../operating/records.ts';
import type { OpenDatabase } from './open.ts';

/** Receipts added up at once: the rest of what is new follows without keeping others waiting. */
const PAGE = 5000;

export function sqliteOperating({ db, read }: OpenDatabase): OperatorReads {
  const countJobs = db.prepare<[], { state: keyof Counts['jobs']; count: number }>(
    'SELECT state, count(*) AS count FROM jobs GROUP BY state',
  );
  const countShards = db.prepare<[], { state: keyof Counts['shards']; count: number }>(
    "SELECT state, count(*) AS count FROM shards WHERE state IN ('queued', 'leased', 'settling') GROUP BY state",
  );
  const sumStandings = db.prepare<[], Counts['audits']>(
    'SELECT total(valid) AS valid, total(bad) AS bad, total(undecided) AS undecided FROM standings',
  );
  const countSuspended = db.prepare<[number], { count: number }>('SELECT count(*) AS count FROM standings WHERE suspended_until > ?');
  const countOpen = db.prepare<[], { worker: string; count: number }>(
    "SELECT worker, count(*) AS count FROM attempts WHERE state IN ('leased', 'submitted', 'disputed') GROUP BY worker",
  );
  // Receipts are never changed or removed: each is added up once.
  const receiptsAfter = db.prepare<[number, number], { at: number; receipt: string }>(
    'SELECT rowid AS at, receipt FROM receipts WHERE rowid > ? ORDER BY rowid LIMIT ?',
  );
  let added = 0;
  const sums = new Map<Address, { accepted: number; earned: Map<AssetId, bigint> }>();
  const selectCovered = db.prepare<[], { worker: string; last: number }>('SELECT worker, MAX(last) AS last FROM epochs GROUP BY worker');
  /** Of each worker, oldest first, what no voucher covered when that was looked at last. Credits are never vouched for. */
  const waiting = new Map<Address, { sequence: number; asset: AssetId; parts: ReturnType<typeof splitAmount> }[]>();
  /** What was accepted in each minute of the longest hold-back there may be. */
  const minutes = new Map<AssetId, Map<number, bigint>>();

  async function addUp(): Promise<void> {
    for (;;) {
      const rows = read(() => receiptsAfter.all(added, PAGE));
      for (const { at, receipt } of rows) {
        const { worker, payee, furtherPayees, asset, amount, time, sequence } = JSON.parse(receipt) as WorkReceipt;
        const sum = sums.get(worker) ?? { accepted: 0, earned: new Map<AssetId, bigint>() };
        sums.set(worker, sum);
        sum.accepted += 1;
        sum.earned.set(asset, (sum.earned.get(asset) ?? 0n) + BigInt(amount));
        if (!isPracticeCredit(asset)) {
          const ofWorker = waiting.get(worker) ?? [];
          waiting.set(worker, ofWorker);
          ofWorker.push({ sequence, asset, parts: splitAmount({ amount, payee, furtherPayees }) });
        }
        const ofMinutes = minutes.get(asset) ?? new Map<number, bigint>();
        minutes.set(asset, ofMinutes);
        const minute = Math.floor(time / 60);
        ofMinutes.set(minute, (ofMinutes.get(minute) ?? 0n) + BigInt(amount));
        added = at;
      }
      if (rows.length < PAGE) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  return {
    async counts(at) {
      await addUp();
      const accepted = new Map<AssetId, bigint>();
      for (const { earned } of sums.values()) {
        for (const [asset, amount] of earned) accepted.set(asset, (accepted.get(asset) ?? 0n) + amount);
      }
      return read(() => ({
        jobs: { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0, ...byState(countJobs.all()) },
        shards: { queued: 0, leased: 0, settling: 0, ...byState(countShards.all()) },
        audits: sumStandings.get() ?? { valid: 0, bad: 0, undecided: 0 },
        suspended: countSuspended.get(at)?.count ?? 0,
        accepted,
      }));
    },
    async workerCounts() {
      await addUp();
      const open = new Map(read(() => countOpen.all()).map(({ worker, count }) => [worker, count]));
      const counts = new Map<Address, WorkerCounts>();
      for (const [worker, sum] of sums) counts.set(worker, { ...sum, open: 0 });
      for (const [worker, count] of open)
        counts.set(worker, { ...(counts.get(worker) ?? { accepted: 0, earned: new Map() }), open: count });
      return counts;
    },
    async uncovered(asset) {
      await addUp();
      for (const { worker, last } of read(() => selectCovered.all())) {
        const ofWorker = waiting.get(worker) ?? [];
        const first = ofWorker.findIndex(({ sequence }) => sequence > last);
        ofWorker.splice(0, first === -1 ? ofWorker.length : first);
      }
      const sums = new Map<string, { worker: Address; payee: Address; amount: bigint }>();
      for (const [worker, ofWorker] of waiting) {
        for (const { payee, amount } of ofWorker.flatMap((each) => (each.asset === asset ? each.parts : []))) {
          const key = `${worker} ${payee}`;
          sums.set(key, { worker, payee, amount: (sums.get(key)?.amount ?? 0n) + amount });
        }
      }
      return [...sums.values()];
    },
    async acceptedSince(asset, at) {
      await addUp();
      const ofMinutes = minutes.get(asset) ?? new Map<number, bigint>();
      const from = Math.floor(at / 60_000);
      let sum = 0n;
      for (const [minute, amount] of ofMinutes) {
        if (minute >= from) sum += amount;
        else ofMinutes.delete(minute);
      }
      return sum;
    },
  };
}

function byState<S extends string>(rows: { state: S; count: number }[]): Partial<Record<S, number>> {
  return Object.fromEntries(rows.map(({ state, count }) => [state, count])) as Partial<Record<S, number>>;
}
