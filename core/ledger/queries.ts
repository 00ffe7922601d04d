import type { Database, Statement } from 'better-sqlite3';
import type { Sha256 } from '../contract/digest.ts';
import type { EarnedSums } from '../contract/earned-sums.ts';
import type { NetworkEarnings } from '../contract/networks.ts';
import type { Address, WorkReceipt } from '../contract/receipt.ts';
import type { AssetEarnings, TaskRow } from '../contract/snapshot.ts';
import { channelOf } from '../contract/voucher-hash.ts';
import { knownMessage } from './activity.ts';
import type { Attempt } from './attempt.ts';
import { type AttemptRow, attemptOf, type Derived } from './derived.ts';
import type { Earned } from './earned.ts';
import type { Promises } from './promises.ts';
import type { Shares } from './shares.ts';

/** The four numbers of one asset and their parts of a day, in base units; core/earnings says how they are shown. */
export type AssetTotals = Omit<AssetEarnings, 'practice' | 'symbol' | 'decimals'>;

interface Waiting {
  network: string;
  model: Sha256;
  device: string | null;
  asset: string;
  amount: string;
  /** When it was computed. */
  at: number;
}

const UNFINISHED = "state IN ('leased', 'fetched', 'running', 'computed', 'submitted', 'disputed')";

/** What the screen and the agent ask of the derived tables. */
export class Queries {
  readonly #unfinished: Statement<[], AttemptRow>;
  readonly #awaited: Statement<[string], number>;
  readonly #recent: Statement<[number], AttemptRow>;
  readonly #waiting: Statement<[], Waiting>;
  readonly #expectedOf: Statement<[string], { amount: string }>;
  readonly #recentRuns: Statement<[number], { network: string; model: Sha256; priceUnit: 'run' | 'token'; units: number; runMs: number }>;
  readonly #receipts: Statement<[string, string, number, number], string>;

  readonly #promises: Promises;
  readonly #earned: Earned;
  readonly #shares: Shares;

  constructor(db: Database, { promises, earned, shares }: Pick<Derived, 'promises' | 'earned' | 'shares'>) {
    this.#promises = promises;
    this.#earned = earned;
    this.#shares = shares;
    this.#unfinished = db.prepare(`SELECT * FROM attempts WHERE ${UNFINISHED} ORDER BY firstEntry`);
    this.#awaited = db
      .prepare<[string], number>(
        `SELECT count(*) FROM attempts WHERE ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed') AND outputs = ?`,
      )
      .pluck();
    this.#recent = db.prepare('SELECT * FROM attempts ORDER BY lastEntry DESC LIMIT ?');
    this.#waiting = db.prepare(
      `SELECT network, model, device, asset, amount, computedAt AS at FROM attempts
        WHERE ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed')`,
    );
    this.#expectedOf = db.prepare(
      `SELECT amount FROM attempts WHERE network = ? AND ${UNFINISHED} AND state IN ('computed', 'submitted', 'disputed')`,
    );
    this.#recentRuns = db.prepare(
      'SELECT network, model, priceUnit, units, runMs FROM (SELECT * FROM attempts ORDER BY lastEntry DESC LIMIT ?) WHERE units > 0 AND runMs > 0',
    );
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
    for (const { asset, amount } of this.#waiting.iterate()) expected.set(asset, (expected.get(asset) ?? 0n) + BigInt(amount));
    const assets = this.#earned.keys('all').map(({ asset }) => asset);
    return [...new Set([...assets, ...expected.keys()])].sort().map((asset) => {
      const key = { part: 'all', name: '', asset } as const;
      const today = this.#earned.between(key, dayStartMs, dayEndMs);
      return {
        asset,
        expected: (expected.get(asset) ?? 0n).toString(),
        ...fourNumbers(this.#earned.until(key, FOREVER)),
        acceptedToday: today.accepted.toString(),
        acceptedShardsToday: today.acceptedShards,
      };
    });
  }

  /** The four numbers of one network, of whatever asset it pays in. */
  networkTotals(network: string): NetworkEarnings {
    let expected = 0n;
    for (const { amount } of this.#expectedOf.iterate(network)) expected += BigInt(amount);
    const total = { accepted: 0n, promised: 0n, paid: 0n, acceptedShards: 0 };
    for (const key of this.#earned.keys('network')) {
      if (key.name !== network) continue;
      const { accepted, promised, paid, acceptedShards } = this.#earned.until(key, FOREVER);
      total.accepted += accepted;
      total.promised += promised;
      total.paid += paid;
      total.acceptedShards += acceptedShards;
    }
    return { expected: expected.toString(), ...fourNumbers(total) };
  }

  /** Those who have receipts of a network: this machine under its worker keys, the present one and those before it. In small letters. */
  workersOf(network: string): Address[] {
    return [...new Set(this.#shares.of(network).map(({ worker }) => worker))];
  }

  /** What a network accepted of a worker since the beginning. */
  acceptedOf(network: string, worker: Address): bigint {
    const shares = this.#shares.of(network).filter((share) => share.worker === worker.toLowerCase());
    return shares.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  }

  /** What was computed and is not accepted yet. */
  waiting(): Waiting[] {
    return this.#waiting.all();
  }

  /** What was computed last, the newest first: how fast this machine is with each model. */
  recentRuns(limit: number): { network: string; model: Sha256; priceUnit: 'run' | 'token'; units: number; runMs: number }[] {
    return this.#recentRuns.all(limit);
  }

  acceptedCount(): number {
    return this.#earned.keys('all').reduce((sum, key) => sum + this.#earned.until(key, FOREVER).acceptedShards, 0);
  }

  receiptsOf(network: string, worker: Address, first: number, last: number): WorkReceipt[] {
    return this.#receipts.all(network, worker.toLowerCase(), first, last).map((body) => JSON.parse(body) as WorkReceipt);
  }
}

/** Later than anything on record. */
const FOREVER = Number.MAX_SAFE_INTEGER;

function fourNumbers({ accepted, promised, paid, acceptedShards }: Pick<EarnedSums, 'accepted' | 'promised' | 'paid' | 'acceptedShards'>) {
  return { accepted: accepted.toString(), promised: promised.toString(), paid: paid.toString(), acceptedShards };
}
