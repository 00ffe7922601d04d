import type { Database, Statement } from 'better-sqlite3';
import { canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { Amount, AssetId } from '../contract/money.ts';
import type { Address, WorkReceipt } from '../contract/receipt.ts';
import { assetOf, type SignedVoucher, type Voucher } from '../contract/voucher.ts';
import { channelOf } from '../contract/voucher-hash.ts';
import { type CountedReceipt, checkVoucher, type VoucherFault } from '../contract/vouching.ts';
import type { Entry } from './entry.ts';

interface VoucherRow {
  channel: string;
  epoch: number;
  network: string;
  worker: string;
  asset: string;
  payee: string;
  first: number;
  last: number;
  cumulative: Amount;
  expected: Amount;
  signed: string;
  signer: Address;
  at: number;
}

/** A voucher on record, and the receipts that its epoch covers. */
export interface RecordedVoucher {
  network: string;
  signed: SignedVoucher;
  first: number;
  last: number;
  signer: Address;
  /** What its cumulative amount should be by the receipts: more than it says where the network owes the difference. */
  expected: Amount;
}

/** A voucher as a network offers it, and by whom it is said to be signed: the payer, or who may sign for it. */
export interface VoucherOffer {
  network: string;
  first: number;
  last: number;
  signed: SignedVoucher;
  signer: Address;
}

/** What networks have promised and paid: vouchers held against the receipts on record, and claims against the vouchers. */
export class Promises {
  readonly #latest: Statement<[string], VoucherRow>;
  readonly #latestAll: Statement<[], VoucherRow>;
  readonly #covering: Statement<[{ network: string; worker: string; sequence: number }], VoucherRow>;
  readonly #receipts: Statement<[string, string, number, number], { body: string; hash: string }>;
  readonly #countNaming: Statement<
    [{ network: string; worker: string; first: number; last: number; payee: string; asset: string }],
    { count: number }
  >;
  readonly #put: Statement<
    [string, number, string, string, string, string, number, number, string, string, string, string, number, number]
  >;
  readonly #claims: Statement<[string], { cumulative: Amount }>;
  readonly #claimsBy: Statement<[string], { asset: AssetId; amount: Amount }>;
  readonly #putClaim: Statement<[string, string, string, string, string | null, number, number, number]>;
  readonly #lastBatched: Statement<[string, string], { last: number }>;

  constructor(db: Database) {
    this.#latest = db.prepare('SELECT * FROM vouchers WHERE channel = ? ORDER BY epoch DESC LIMIT 1');
    this.#latestAll = db.prepare('SELECT *, max(epoch) FROM vouchers GROUP BY channel ORDER BY channel');
    this.#covering = db.prepare(
      'SELECT * FROM vouchers WHERE network = :network AND worker = :worker AND last >= :sequence AND first <= :sequence ORDER BY last',
    );
    this.#receipts = db.prepare(
      'SELECT body, hash FROM receipts WHERE network = ? AND worker = ? AND sequence BETWEEN ? AND ? ORDER BY sequence',
    );
    this.#countNaming = db.prepare(
      `SELECT count(*) AS count FROM receipts WHERE network = :network AND worker = :worker AND sequence BETWEEN :first AND :last
        AND instr(lower(body), :payee) > 0 AND json_extract(body, '$.asset') = :asset`,
    );
    this.#put = db.prepare('INSERT INTO vouchers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#claimsBy = db.prepare('SELECT asset, amount FROM claims WHERE transactionHash = ?');
    this.#claims = db.prepare('SELECT cumulative FROM claims WHERE channel = ?');
    this.#putClaim = db.prepare('INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#lastBatched = db.prepare('SELECT last FROM batches WHERE network = ? AND worker = ? ORDER BY last DESC LIMIT 1');
  }

  /** The voucher that was recorded last for a channel. */
  latest(channel: string): RecordedVoucher | null {
    const row = this.#latest.get(channel);
    return row === undefined ? null : recorded(row);
  }

  /** The last voucher of every channel. */
  latestOfAll(): RecordedVoucher[] {
    return this.#latestAll.all().map(recorded);
  }

  /** The voucher whose epoch has a worker's receipt of a network, for the receipt's payee; null where none has it yet. */
  covering(network: string, worker: Address, sequence: number, payee: Address): RecordedVoucher | null {
    const row = this.#covering.all({ network, worker: worker.toLowerCase(), sequence }).find((each) => each.payee === payee.toLowerCase());
    return row === undefined ? null : recorded(row);
  }

  /** A worker's receipts of an epoch, as the voucher counts them. */
  counted(network: string, worker: Address, first: number, last: number): CountedReceipt[] {
    const rows = this.#receipts.all(network, worker.toLowerCase(), first, last);
    return rows.map(({ body, hash }) => ({ receipt: JSON.parse(body) as WorkReceipt, hash }));
  }

  /** What was claimed of a channel since the beginning, as far as it is on record. */
  claimed(channel: string): bigint {
    return this.#claims.all(channel).reduce((most, { cumulative }) => (BigInt(cumulative) > most ? BigInt(cumulative) : most), 0n);
  }

  /**
   * Holds a voucher against the receipts on record and the voucher before it. A cumulative amount that differs is told, not refused: what it says
   * is worth what it says. Only one that takes back what was promised before is.
   * @throws VOUCHER_INVALID
   */
  check({ network, first, last, signed, signer }: VoucherOffer): { channel: string; expected: bigint; missing: bigint } {
    const invalid = (detail: string) => new HearthlendError('VOUCHER_INVALID', { network, detail });
    const { voucher, domain } = signed;
    const channel = channelOf(domain, voucher);
    const before = this.#latest.get(channel);
    const previous = before === undefined ? null : recorded(before).signed.voucher;
    const next = (before?.last ?? 0) + 1;
    // Receipts that it passes over must be others': of another payee, or of another asset.
    const passedOver = first > next ? this.#naming(network, voucher, next, first - 1, assetOf(domain, voucher.asset)) : 0;
    if (first < next || passedOver > 0) {
      throw invalid(`it covers receipts from ${first} on, where ${next} is the first that no voucher covers`);
    }
    if (last < first) throw invalid('it covers no receipts');
    if (last > (this.#lastBatched.get(network, voucher.worker.toLowerCase())?.last ?? 0))
      throw invalid(`receipt ${last} is in no batch that both sides have signed`);
    const receipts = this.counted(network, voucher.worker, first, last);
    const named = receipts.filter(({ receipt }) => assetOf(domain, voucher.asset) === receipt.asset);
    const own = named.find(({ receipt }) => receipt.payee.toLowerCase() === voucher.payee.toLowerCase());
    if (own === undefined) throw invalid('it pays nobody whom those receipts name');
    const faults = checkVoucher(signed, {
      ...{ domain, payer: voucher.payer, worker: own.receipt.worker, payee: own.receipt.payee, asset: voucher.asset },
      ...{ previous, signers: [signer], receipts: named },
    });
    const wrong = faults.filter(({ field }) => field !== 'amount');
    if (wrong.length > 0) throw invalid(`wrong in it: ${wrong.map(({ field }) => field).join(', ')}`);
    // The one before is worth what it says, and would be forgotten for this one.
    if (BigInt(voucher.cumulativeAmount) < BigInt(before?.cumulative ?? 0)) {
      throw invalid(`it promises ${voucher.cumulativeAmount} where ${before?.cumulative} was promised before`);
    }
    const missing = amountFault(faults);
    // What the epoch adds by the receipts is what the voucher adds, and what is missing in it.
    const expected = BigInt(before?.expected ?? 0) + BigInt(voucher.cumulativeAmount) + missing - BigInt(before?.cumulative ?? 0);
    return { channel, expected, missing };
  }

  /** How many of a worker's receipts name a payee, in an asset. */
  #naming(network: string, { worker, payee }: Voucher, first: number, last: number, asset: AssetId): number {
    const names = { worker: worker.toLowerCase(), payee: payee.toLowerCase() };
    return this.#countNaming.get({ network, ...names, first, last, asset })?.count ?? 0;
  }

  /** @returns what it promises beyond the voucher before, and in which asset @throws VOUCHER_INVALID */
  applyVoucher({ sequence, at, body }: Entry<'voucher'>): { asset: AssetId; promised: bigint } {
    const { network, first, last, signed } = body;
    const { channel, expected } = this.check(body);
    const { voucher, domain } = signed;
    const before = this.#latest.get(channel);
    const asset = assetOf(domain, voucher.asset);
    const names = [network, voucher.worker.toLowerCase(), asset, voucher.payee.toLowerCase()] as const;
    const row = [first, last, voucher.cumulativeAmount, expected.toString()] as const;
    this.#put.run(channel, voucher.epoch, ...names, ...row, canonicalJson(signed), body.signer, at, sequence);
    return { asset, promised: BigInt(voucher.cumulativeAmount) - BigInt(before?.cumulative ?? 0) };
  }

  /** What one of our transactions is known to have paid of an asset; null where nothing is on record of it. */
  paidBy(transactionHash: string): { asset: AssetId; amount: bigint } | null {
    const [first, ...others] = this.#claimsBy.all(transactionHash);
    if (first === undefined) return null;
    const same = others.filter(({ asset }) => asset === first.asset);
    return { asset: first.asset, amount: same.reduce((sum, { amount }) => sum + BigInt(amount), BigInt(first.amount)) };
  }

  /** @returns whose and in which asset it is @throws VOUCHER_INVALID where more was paid than was promised, or the same is told twice */
  applyClaim({ sequence, at, body }: Entry<'claim.paid'>): { network: string; asset: AssetId } {
    const { channel, amount, cumulative, transactionHash, block } = body;
    const latest = this.#latest.get(channel);
    const before = this.claimed(channel);
    const right = latest !== undefined && BigInt(cumulative) - before === BigInt(amount) && BigInt(cumulative) <= BigInt(latest.cumulative);
    if (!right)
      throw new HearthlendError('VOUCHER_INVALID', { network: latest?.network ?? '', detail: `a claim of ${amount} is not of it` });
    this.#putClaim.run(channel, cumulative, latest.asset, amount, transactionHash, block, at, sequence);
    return { network: latest.network, asset: latest.asset };
  }
}

function recorded({ network, signed, first, last, expected, signer }: VoucherRow): RecordedVoucher {
  return { network, signed: JSON.parse(signed) as SignedVoucher, first, last, signer, expected };
}

function amountFault(faults: readonly VoucherFault[]): bigint {
  for (const fault of faults) if (fault.field === 'amount') return fault.by;
  return 0n;
}
