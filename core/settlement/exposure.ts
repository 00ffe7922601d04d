/** What a network owes, by whom it is believed. Amounts in base units of one asset, since the beginning. */
export interface Owed {
  accepted: bigint;
  /** By the chain, not by the network's word. */
  paid: bigint;
  /** Set aside for this worker's channel and not thawing. */
  secured: bigint;
}

/** What would be lost if the network were gone: accepted, less what was paid and what is secured. Never negative. Pure. */
export function exposureOf({ accepted, paid, secured }: Owed): bigint {
  const rest = accepted - paid - secured;
  return rest > 0n ? rest : 0n;
}

/** How far past its limit a network is; null where it may owe more, or no limit was given. Pure. */
export function overLimit(exposure: bigint, limit: bigint | null): bigint | null {
  return limit === null || exposure <= limit ? null : exposure - limit;
}

/** Receipts that are due are given so long (ms) more to be vouched for. */
const VOUCHING_MS = 600_000;

/** Since when vouchers are withheld: the oldest receipt that none covers is past its hold-back and epoch (`dueAfterMs`) and the time for vouching. Null while none is. Pure. */
export function withheldSince(oldestUnvouchedAt: number | null, dueAfterMs: number, now: number): number | null {
  if (oldestUnvouchedAt === null) return null;
  const due = oldestUnvouchedAt + dueAfterMs + VOUCHING_MS;
  return now > due ? due : null;
}
