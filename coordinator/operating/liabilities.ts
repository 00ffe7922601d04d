import type { Address } from '../../core/contract/receipt.ts';

/** A pair of worker and payee in the books, since the beginning. Amounts in base units of one asset. */
export interface ChannelBook {
  worker: Address;
  payee: Address;
  /** And not forfeited. */
  accepted: bigint;
  /** By the voucher signed last. */
  promised: bigint;
}

/** What the escrow says of one. */
export interface ChannelHolding {
  claimed: bigint;
  earmark: { amount: bigint; thawing: bigint };
}

export interface Liabilities {
  unvouched: bigint;
  unclaimed: bigint;
  /** Accepted and not claimed. */
  total: bigint;
  claimed: bigint;
  earmarked: bigint;
  earmarkThawing: bigint;
  covered: bigint;
  missing: bigint;
}

/**
 * What is owed against what is there for it. An earmark pays its own channel alone, the deposit all of them; what thaws may be gone by the time it is
 * claimed and covers nothing. A channel that the escrow was not asked about yet (null) counts as never paid. Pure.
 */
export function liabilitiesOf(
  channels: ReadonlyArray<ChannelBook & { holding: ChannelHolding | null }>,
  deposit: { balance: bigint; thawing: bigint },
): Liabilities {
  const sums = { unvouched: 0n, unclaimed: 0n, total: 0n, claimed: 0n, earmarked: 0n, earmarkThawing: 0n };
  let byEarmarks = 0n;
  for (const { accepted, promised, holding } of channels) {
    const { claimed, earmark } = holding ?? { claimed: 0n, earmark: { amount: 0n, thawing: 0n } };
    const owed = atLeastZero(accepted - claimed);
    sums.unvouched += atLeastZero(accepted - promised);
    sums.unclaimed += atLeastZero(promised - claimed);
    sums.total += owed;
    sums.claimed += claimed;
    sums.earmarked += earmark.amount;
    sums.earmarkThawing += earmark.thawing;
    byEarmarks += lesser(owed, atLeastZero(earmark.amount - earmark.thawing));
  }
  const covered = byEarmarks + lesser(sums.total - byEarmarks, atLeastZero(deposit.balance - deposit.thawing));
  return { ...sums, covered, missing: sums.total - covered };
}

function atLeastZero(amount: bigint): bigint {
  return amount > 0n ? amount : 0n;
}

export function lesser(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
