import { ANY_NETWORK, type SignedDelegation, type WalletClaim, type WorkerDelegation } from '../../core/contract/delegation.ts';
import type { Payout } from '../../core/contract/joining.ts';
import type { Address } from '../../core/contract/receipt.ts';

/** What is on record of a worker's pay. Times in ms since 1970. */
export interface PayoutRecord {
  worker: Address;
  payee: Address;
  /** The wallet that has signed for the worker; null where none has: then the payee's own word counts. */
  wallet: Address | null;
  delegation: WorkerDelegation | null;
  /** The highest nonce that the wallet has taken back. */
  revokedUpTo: number | null;
  /** Of the change of payee taken last. */
  payeeNonce: number;
  next: { payee: Address; at: number } | null;
  /** The latest last. */
  former: Address[];
}

export interface PayoutReads {
  /** Null for no member. */
  payout(worker: Address): Promise<PayoutRecord | null>;
}

export interface PayoutChanges {
  /** Takes what a wallet, by a signature that was checked before, says of its worker; the same again where it is known. */
  claim(claim: WalletClaim, at: number, payeeDelayMs: number): ClaimOutcome;
}

export type ClaimOutcome = 'taken' | 'unknown' | 'other-wallet' | 'stale';

/** A payee has no more of before than this many that it is remembered for. */
const MAX_FORMER = 16;

export const sameAddress = (a: Address, b: Address): boolean => a.toLowerCase() === b.toLowerCase();

/** As it is at a moment: a change of payee counts once its time has come. Pure. */
export function payoutAt(record: PayoutRecord, at: number): PayoutRecord {
  const { next, payee, former } = record;
  if (next === null || at < next.at) return record;
  return { ...record, payee: next.payee, next: null, former: [...former, payee].slice(-MAX_FORMER) };
}

/** Why a worker is lent no work: its wallet has taken back what it said, or the time of that is over. Pure. */
export function stoppedWhy({ delegation, revokedUpTo }: PayoutRecord, at: number): Payout['stopped'] {
  if (revokedUpTo !== null && (delegation === null || delegation.nonce <= revokedUpTo)) return 'revoked';
  return delegation !== null && at >= delegation.expiry * 1000 ? 'expired' : null;
}

/** As others are told it. Pure. */
export function payoutOf(record: PayoutRecord, at: number): Payout {
  const { worker, payee, wallet, delegation, next } = payoutAt(record, at);
  return {
    ...{ worker, payee, wallet, next },
    delegatedUntil: delegation === null ? null : delegation.expiry * 1000,
    stopped: stoppedWhy(record, at),
  };
}

/**
 * What becomes of a worker's pay by what its wallet says. Whoever has the worker's key can say nothing here: only the wallet that signed for it, or where
 * none has, the payee. Pure.
 */
export function applyClaim(
  before: PayoutRecord,
  claim: WalletClaim,
  at: number,
  payeeDelayMs: number,
): { outcome: ClaimOutcome; record: PayoutRecord } {
  const record = payoutAt(before, at);
  const refused = (outcome: ClaimOutcome) => ({ outcome, record });
  const taken = (change: Partial<PayoutRecord>) => ({ outcome: 'taken' as const, record: { ...record, ...change } });
  const { wallet } = saidIn(claim);
  if (!sameAddress(wallet, record.wallet ?? record.payee)) return refused('other-wallet');
  if (claim.kind === 'revocation') {
    const { nonce } = claim.revocation;
    return taken({ wallet, revokedUpTo: Math.max(nonce, record.revokedUpTo ?? 0) });
  }
  if (claim.kind === 'delegation') {
    const { delegation } = claim;
    if (delegation.nonce <= (record.revokedUpTo ?? -1)) return refused('stale');
    if (delegation.nonce < (record.delegation?.nonce ?? 0)) return refused('stale');
    return taken({ wallet, delegation });
  }
  const { payee, nonce } = claim.change;
  if (nonce < record.payeeNonce) return refused('stale');
  if (nonce === record.payeeNonce) {
    const known = sameAddress(payee, record.next?.payee ?? record.payee);
    return known ? refused('taken') : refused('stale');
  }
  const next = sameAddress(payee, record.payee) ? null : { payee, at: at + payeeDelayMs };
  return taken({ wallet, payeeNonce: nonce, next });
}

/** Of a member of whom nothing was said since it joined, what it said then. */
export function newPayout(worker: Address, payee: Address): PayoutRecord {
  return { worker, payee, wallet: null, delegation: null, revokedUpTo: null, payeeNonce: 0, next: null, former: [] };
}

/**
 * What is on record of a worker that joins, or joins again. Who has the worker's key can't be paid elsewhere by joining again, unless what it earned went to
 * that key itself. Pure.
 */
export function payoutAtJoining(
  known: PayoutRecord | null,
  { worker, payee, delegation }: { worker: Address; payee: Address; delegation: SignedDelegation | null },
  at: number,
): PayoutRecord | 'other-payee' | 'delegation-revoked' {
  const before = known === null ? newPayout(worker, payee) : payoutAt(known, at);
  const moves = !sameAddress(before.payee, payee);
  if (moves && !(before.wallet === null && sameAddress(before.payee, worker))) return 'other-payee';
  const record = moves ? { ...before, payee, next: null, former: [...before.former, before.payee].slice(-MAX_FORMER) } : before;
  if (delegation === null) return record;
  const { outcome, record: signed } = applyClaim(record, { kind: 'delegation', ...delegation }, at, 0);
  // An older one than is known says nothing new.
  if (outcome === 'taken') return signed;
  return outcome === 'stale' && stoppedWhy(record, at) === null ? record : 'delegation-revoked';
}

/** Who says it, of which worker. */
export function saidIn(claim: WalletClaim): { wallet: Address; worker: Address } {
  if (claim.kind === 'delegation') return claim.delegation;
  return claim.kind === 'revocation' ? claim.revocation : claim.change;
}

/** Whether a wallet said it for the network of this key. */
export function isForNetwork(claim: WalletClaim, networkKey: Address): boolean {
  if (claim.kind === 'revocation') return true;
  const named = claim.kind === 'delegation' ? claim.delegation.networkKey : claim.change.networkKey;
  return named === ANY_NETWORK || sameAddress(named, networkKey);
}
