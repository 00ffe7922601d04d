import type { TransactionRecord } from '../contract/chain.ts';

/** What a chain says of a transaction: where any of its hashes was mined, and how many of its sender's are mined in all. */
export interface Observation {
  /** The highest block that is agreed on. */
  head: number;
  mined: { hash: string; number: number; blockHash: string; succeeded: boolean } | null;
  /** The sender's next nonce at `head`. */
  nextNonce: number;
}

export interface FollowRules {
  /** Blocks, its own included, after which a transaction is final. */
  confirmations: number;
  /** After so long (ms) without being mined it is sent anew with a higher fee. */
  stuckMs: number;
  /** As often as that at most. */
  replacements: number;
}

/** `again`: what was broadcast is broadcast once more (it fell out of a block). `replace`: under the same nonce, for more. */
export type NextStep = 'wait' | 'again' | 'replace' | 'over';

/** A quarter more: nodes take a replacement from an eighth more on. Source: go-ethereum, core/txpool, "price bump". */
export function raisedFee(fee: bigint, suggested: bigint): bigint {
  const raised = fee + fee / 4n + 1n;
  return raised > suggested ? raised : suggested;
}

/**
 * What becomes of a transaction by what is seen of it: mined, final after enough blocks, back to pending where a reorganisation took its block,
 * displaced where another one has its nonce for good. Pure.
 */
export function follow(
  record: TransactionRecord,
  seen: Observation,
  rules: FollowRules,
  now: number,
): { record: TransactionRecord; step: NextStep } {
  if (record.state === 'final' || record.state === 'failed' || record.state === 'displaced') return { record, step: 'over' };
  if (seen.mined !== null) {
    const { number, blockHash, succeeded } = seen.mined;
    const deep = seen.head - number + 1 >= rules.confirmations;
    const state = !deep ? 'mined' : succeeded ? 'final' : 'failed';
    return { record: { ...record, state, block: { number, hash: blockHash } }, step: deep ? 'over' : 'wait' };
  }
  const pending: TransactionRecord = { ...record, state: 'pending', block: null };
  if (seen.nextNonce > record.nonce) {
    // Another transaction has this nonce; as deep as a final one, it stays so. `block` notes since when that has been seen.
    const since = record.block?.hash === '' ? record.block.number : seen.head;
    if (seen.head - since + 1 >= rules.confirmations) return { record: { ...pending, state: 'displaced' }, step: 'over' };
    return { record: { ...pending, block: { number: since, hash: '' } }, step: 'wait' };
  }
  if (record.state === 'mined') return { record: pending, step: 'again' };
  const since = record.replacedAt ?? record.sentAt;
  // A clock that was set back waits anew rather than for ever.
  const stuck = now - since > rules.stuckMs || now < since - rules.stuckMs;
  if (stuck && record.hashes.length <= rules.replacements) return { record: pending, step: 'replace' };
  return { record: pending, step: 'wait' };
}
