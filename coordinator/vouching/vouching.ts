import { asHearthlendError } from '../../core/contract/errors.ts';
import type { Address, WorkReceipt } from '../../core/contract/receipt.ts';
import { hashReceipt } from '../../core/contract/receipt-hash.ts';
import { type EscrowDomain, type OfferedVoucher, tokenOf, type Voucher } from '../../core/contract/voucher.ts';
import { voucherDigest } from '../../core/contract/voucher-hash.ts';
import { vouchersFor } from '../../core/contract/vouching.ts';
import type { CoordinatorSigner } from '../batching.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store.ts';
import type { Standing } from '../trust/records.ts';

/** As many receipts as one voucher covers at most: a worker checks them all. */
const MOST_RECEIPTS = 10_000;

export interface VouchingOptions {
  domain: EscrowDomain;
  /** Whose escrow pays. The coordinator's own key signs: it is the payer's, or one that the payer authorised on the contract. */
  payer: Address;
  /** How long (ms) what was accepted waits before it is vouched for. */
  holdBackMs: number;
  /** How long (ms) receipts gather before a voucher covers them, so that a busy worker doesn't get one a second. */
  epochMs: number;
  clock: () => number;
}

/** Promises what was accepted: for each worker, one voucher a payee and epoch, signed once and recorded before anybody sees it. */
export interface Vouching {
  /** Vouches for what is due, of every worker. */
  tend(): Promise<void>;
  stop(): void;
}

export function createVouching(
  store: Store,
  signer: CoordinatorSigner,
  { domain, payer, holdBackMs, epochMs, clock }: VouchingOptions,
  log: Log,
  onVoucher: (worker: Address) => void,
): Vouching {
  async function tend(): Promise<void> {
    for (const worker of await store.workersToVouch()) await vouch(worker);
  }

  async function vouch(worker: Address): Promise<void> {
    const waiting = await store.unvouched(worker, MOST_RECEIPTS);
    const { free, forfeited } = withoutForfeited(waiting, clock(), holdBackMs, store.standing(worker));
    const lost = free.length === 0 && forfeited.length > 0;
    const due = lost ? forfeited : dueOf(free, clock(), holdBackMs, epochMs, MOST_RECEIPTS);
    const [first] = due;
    const last = due.at(-1);
    if (first === undefined || last === undefined) return;
    const counted = due.map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
    const before = new Map<string, Voucher | null>();
    for (const payee of new Set(due.flatMap(payeesOf))) {
      for (const asset of [...new Set(due.map((receipt) => receipt.asset))]) {
        const token = tokenOf(domain, asset);
        if (token !== null) before.set(`${payee}${token}`, await store.latestVoucher(worker, payee, token));
      }
    }
    const payees = new Set(due.map(({ payee }) => payee.toLowerCase()));
    const vouchers = vouchersFor({ domain, payer, worker }, counted, (payee, token) => before.get(`${payee}${token}`) ?? null).map(
      (voucher) =>
        // What was lost is said by a voucher that promises nothing more for it; whoever else those receipts name did nothing wrong.
        lost && payees.has(voucher.payee.toLowerCase())
          ? { ...voucher, cumulativeAmount: before.get(`${voucher.payee}${voucher.asset}`)?.cumulativeAmount ?? '0' }
          : voucher,
    );
    if (lost) log('warn', 'hold-back-forfeited', { worker, first: first?.sequence, last: last?.sequence });
    const offers = vouchers.map((voucher): OfferedVoucher => {
      const signature = signer.signDigest(voucherDigest(domain, voucher));
      return { first: first.sequence, last: last.sequence, signed: { domain, voucher, signature }, signer: signer.address };
    });
    if (await store.vouch(worker, { first: first.sequence, last: last.sequence }, offers, clock())) onVoucher(worker);
  }

  const timer = setInterval(
    () => {
      tend().catch((thrown: unknown) => log('error', 'not-vouched', { detail: asHearthlendError(thrown).message }));
    },
    Math.max(Math.min(epochMs, 5000), 250),
  );
  timer.unref();
  return { tend, stop: () => clearInterval(timer) };
}

/**
 * What may be vouched for of a worker that was caught often enough to be suspended: what was held back when it was caught last waits for as long as it is
 * suspended, and is lost when nobody lifted that. What it had earned before, and earns later, is paid. Pure; times in ms, receipts' own in seconds.
 */
function withoutForfeited(
  waiting: readonly WorkReceipt[],
  now: number,
  holdBackMs: number,
  { offences, suspendedUntil }: Pick<Standing, 'offences' | 'suspendedUntil'>,
): { free: readonly WorkReceipt[]; forfeited: readonly WorkReceipt[] } {
  const caughtAt = offences.at(-1);
  if (suspendedUntil === null || caughtAt === undefined) return { free: waiting, forfeited: [] };
  const from = waiting.findIndex(({ time }) => time * 1000 + holdBackMs > caughtAt && time * 1000 <= caughtAt);
  if (from === -1) return { free: waiting, forfeited: [] };
  const after = waiting.findIndex(({ time }, at) => at > from && time * 1000 > caughtAt);
  const held = waiting.slice(from, after === -1 ? undefined : after);
  return { free: waiting.slice(0, from), forfeited: suspendedUntil <= now ? held : [] };
}

/**
 * The receipts that a voucher is due for: those accepted longer ago than the hold-back, once the oldest has waited an epoch more or there are as many
 * as one voucher covers. Pure; times in ms, receipts' own in seconds.
 */
export function dueOf(
  waiting: readonly WorkReceipt[],
  now: number,
  holdBackMs: number,
  epochMs: number,
  most: number,
): readonly WorkReceipt[] {
  const held = waiting.findIndex((receipt) => receipt.time * 1000 + holdBackMs > now);
  const free = held === -1 ? waiting : waiting.slice(0, held);
  const oldest = free[0];
  if (oldest === undefined) return [];
  const gathered = oldest.time * 1000 + holdBackMs + epochMs <= now || free.length >= most;
  return gathered ? free : [];
}

function payeesOf(receipt: WorkReceipt): Address[] {
  return [receipt.payee, ...receipt.furtherPayees.map(({ payee }) => payee)].map((payee) => payee.toLowerCase());
}
