/** What was earned and used since a beginning. Amounts in base units, energy in millijoules: measured, and reckoned from what a device takes under load. */
export interface EarnedSums {
  accepted: bigint;
  acceptedShards: number;
  promised: bigint;
  paid: bigint;
  measured: number;
  estimated: number;
  /** Shards whose energy is known. */
  knownShards: number;
}

/** What came between. */
export function sumsBetween(earlier: EarnedSums, later: EarnedSums): EarnedSums {
  return {
    accepted: later.accepted - earlier.accepted,
    acceptedShards: later.acceptedShards - earlier.acceptedShards,
    promised: later.promised - earlier.promised,
    paid: later.paid - earlier.paid,
    measured: later.measured - earlier.measured,
    estimated: later.estimated - earlier.estimated,
    knownShards: later.knownShards - earlier.knownShards,
  };
}
