import type { Database, Statement } from 'better-sqlite3';
import type { Sha256 } from '../contract/digest.ts';
import type { NetworkEarnings } from '../contract/networks.ts';
import type { Address, WorkReceipt } from '../contract/receipt.ts';
import type { AssetEarnings, TaskRow } from '../contract/snapshot.ts';
import { channelOf } from '../contract/voucher-hash.ts';
import { knownMessage } from './activity.ts';
import type { Attempt } from './attempt.ts';
import { type AttemptRow, attemptOf, SLOT_MS } from './derived.ts';
import type { Promises } from './promises.ts';

/** The four numbers of one asset and their parts of a day, in base units; core/earnings says how they are shown. */
export type AssetTotals = Omit<AssetEarnings, 'practice' | 'symbol' | 'decimals'>;

const UNFINISHED = "state IN ('leased', 'fetched', 'running', 'computed', 'submitted', 'disputed')";

/** What the screen and the agent ask of the derived tables. */
export class Queries {
  readonly #unfinished: Statement<[], AttemptRow>;
  readonly #awaited: Statement<[string], number>;
  readonly #recent: Statement<[number], AttemptRow>;
  readonly #expected: Statement<[], { asset: string; amount: string }>;
  readonly #totals: Statement<[], { asset: string; acceptedAmount: string; acceptedShards: number }>;
  readonly #slots: Statement<[string, number, number], { acceptedAmount: string; acceptedShards: number }>;
  readonly #accepted: Statement<[], number>;
  readonly #amounts: Statement<[string, string, number], { sequence: number; amount: string }>;
  readonly #expectedOf: Statement<[string], { amount: string }>;
  readonly #recentRuns: Statement<[number], { network: string; model: Sha256; priceUnit: 'run' | 'token'; units: number; runMs: number }>;
  readonly #workers: Statement<[{ network: string }], Address>;
  /** By network and worker: receipts only ever come behind those that were summed up. */
  readonly #summed = new Map<string, { sequence: number; accepted: bigint; shards: number }>();
  readonly #receipts: Statement<[string, string, number, number], string>;

  readonly #promises: Promises;

  constructor(db: Database, promises: Promises) {
    this.#promises = promises;
    this.#unfinished = db.prepare(`SELECT * FROM attempts WHERE ${UNFINISHED} ORDER BY firstEntry`);
    this.#awaited = db
      .prepare<[string], number>(
        `SELECT count(*) FROM attempts WHERE ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed') AND outputs = ?`,
      )
      .pluck();
    this.#recent = db.prepare('SELECT * FROM attempts ORDER BY lastEntry DESC LIMIT ?');
    this.#expected = db.prepare(
      `SELECT asset, amount FROM attempts WHERE ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed')`,
    );
    this.#totals = db.prepare('SELECT asset, acceptedAmount, acceptedShards FROM totals');
    this.#slots = db.prepare('SELECT acceptedAmount, acceptedShards FROM slots WHERE asset = ? AND slot >= ? AND slot < ?');
    this.#accepted = db.prepare<[], number>('SELECT coalesce(sum(acceptedShards), 0) FROM totals').pluck();
    this.#amounts = db.prepare(
      `SELECT sequence, json_extract(body, '$.amount') AS amount FROM receipts
        WHERE network = ? AND worker = ? AND sequence > ? ORDER BY sequence`,
    );
    this.#expectedOf = db.prepare(
      `SELECT amount FROM attempts WHERE network = ? AND ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed')`,
    );
    this.#recentRuns = db.prepare(
      'SELECT network, model, priceUnit, units, runMs FROM (SELECT * FROM attempts ORDER BY lastEntry DESC LIMIT ?) WHERE units > 0 AND runMs > 0',
    );
    // From one worker to the next in the order of the key, however many receipts each of them has.
    this.#workers = db
      .prepare<[{ network: string }], Address>(
        `WITH RECURSIVE found (worker) AS (
          SELECT min(worker) FROM receipts WHERE network = :network
          UNION ALL
          SELECT (SELECT min(worker) FROM receipts WHERE network = :network AND worker > found.worker) FROM found WHERE worker IS NOT NULL
        ) SELECT worker FROM found WHERE worker IS NOT NULL`,
      )
      .pluck();
    this.#receipts = db
      .prepare<[string, string, number, number], string>(
        'SELECT body FROM receipts WHERE network = ? AND worker = ? AND sequence BETWEEN ? AND ? ORDER BY sequence',
      )
      .pluck();
  }

  unfinished(): Attempt[] {
    return this.#unfinished.all().map(attemptOf);
  }

  isAwaited(outputs: Sha256): boolean {
    return this.#awaited.get(outputs) !== 0;
  }

  recent(limit: number): TaskRow[] {
    return this.#recent.all(limit).map((row) => {
      const { shardId, attempt, network, origin, kind, state, reason, audited, asset, amount, units, runMs, at } = attemptOf(row);
      const shown = state === 'accepted' && origin === 'network' ? this.#promisedState(row) : state;
      return {
        shardId,
        attempt,
        network,
        origin,
        kind,
        state: shown,
        reason: knownMessage(reason),
        audited,
        asset,
        amount,
        units,
        runMs,
        at,
      };
    });
  }

  /** How far an accepted shard has got since: what is promised and paid is known by ranges of receipts, not shard by shard. */
  #promisedState({ network, receiptSequence, worker, payee }: AttemptRow): TaskRow['state'] {
    const covering = receiptSequence === null ? null : this.#promises.covering(network, worker, receiptSequence, payee);
    if (covering === null) return 'accepted';
    const { domain, voucher } = covering.signed;
    return this.#promises.claimed(channelOf(domain, voucher)) >= BigInt(voucher.cumulativeAmount) ? 'settled' : 'vouched';
  }

  totals(dayStartMs: number, dayEndMs: number): AssetTotals[] {
    const expected = new Map<string, bigint>();
    for (const { asset, amount } of this.#expected.iterate()) expected.set(asset, (expected.get(asset) ?? 0n) + BigInt(amount));
    const accepted = new Map(this.#totals.all().map((total) => [total.asset, total]));
    const promises = new Map(this.#promises.sums().map((sum) => [sum.asset, sum]));
    return [...new Set([...accepted.keys(), ...expected.keys()])].sort().map((asset) => {
      const today = this.#slots.all(asset, Math.floor(dayStartMs / SLOT_MS), Math.floor(dayEndMs / SLOT_MS));
      return {
        asset,
        expected: (expected.get(asset) ?? 0n).toString(),
        accepted: accepted.get(asset)?.acceptedAmount ?? '0',
        promised: promises.get(asset)?.promised ?? '0',
        paid: promises.get(asset)?.paid ?? '0',
        acceptedShards: accepted.get(asset)?.acceptedShards ?? 0,
        acceptedToday: today.reduce((sum, { acceptedAmount }) => sum + BigInt(acceptedAmount), 0n).toString(),
        acceptedShardsToday: today.reduce((sum, { acceptedShards }) => sum + acceptedShards, 0),
      };
    });
  }

  /** The four numbers of one network, of whatever asset it pays in. */
  networkTotals(network: string): NetworkEarnings {
    const accepted = this.workersOf(network).map((worker) => this.acceptedOf(network, worker));
    let expected = 0n;
    for (const { amount } of this.#expectedOf.iterate(network)) expected += BigInt(amount);
    const { promised, paid } = this.#promises.sumsOf(network);
    return {
      expected: expected.toString(),
      accepted: accepted.reduce((sum, { amount }) => sum + amount, 0n).toString(),
      promised: promised.toString(),
      paid: paid.toString(),
      acceptedShards: accepted.reduce((sum, { shards }) => sum + shards, 0),
    };
  }

  /** Those who have receipts of a network: this machine under its worker keys, the present one and those before it. In small letters. */
  workersOf(network: string): Address[] {
    return this.#workers.all({ network });
  }

  /** What a network accepted of a worker since the beginning. */
  acceptedOf(network: string, worker: Address): { amount: bigint; shards: number } {
    const key = `${network} ${worker.toLowerCase()}`;
    const total = { ...(this.#summed.get(key) ?? { sequence: 0, accepted: 0n, shards: 0 }) };
    for (const { sequence, amount } of this.#amounts.iterate(network, worker.toLowerCase(), total.sequence)) {
      total.sequence = sequence;
      total.accepted += BigInt(amount);
      total.shards += 1;
    }
    this.#summed.set(key, total);
    return { amount: total.accepted, shards: total.shards };
  }

  /** What was computed last, the newest first: how fast this machine is with each model. */
  recentRuns(limit: number): { network: string; model: Sha256; priceUnit: 'run' | 'token'; units: number; runMs: number }[] {
    return this.#recentRuns.all(limit);
  }

  acceptedCount(): number {
    return this.#accepted.get() ?? 0;
  }

  receiptsOf(network: string, worker: Address, first: number, last: number): WorkReceipt[] {
    return this.#receipts.all(network, worker.toLowerCase(), first, last).map((body) => JSON.parse(body) as WorkReceipt);
  }
}
