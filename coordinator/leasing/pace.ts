import type { Shard } from '../../core/contract/shard.ts';

/** How fast one model was computed, by one worker or by all of them: means over the last few results. */
export interface Pace {
  samples: number;
  /** ms for a whole shard, and for one unit of what it is paid by. */
  shardMs: number;
  unitMs: number;
}

/** Leases that are given at once are about so much work for the machine that gets them. */
const BATCH_MS = 1000;
/** A lease is this many times as long as its work is expected to take, within bounds; heartbeats renew it three times while it lasts. */
const LEASE_FACTOR = 10;
/** Work is late after this many times what it should have taken, and this much more. */
const LATE_FACTOR = 3;
const LATE_GRACE_MS = 2000;
/** What a shard of an unknown model counts for in its requester's share. */
const UNKNOWN_COST_MS = 1000;

/** Most units that a shard can come to. */
function mostUnits(shard: Shard): number {
  return shard.kind === 'onnx.generate' && shard.price.unit === 'token' ? shard.maxNewTokens : 1;
}

/** How long (ms) a shard takes at most at this pace; null where nothing tells. */
export function expectedMs(shard: Shard, pace: Pace | null): number | null {
  // A stage waits for the others most of its time.
  if (pace === null || (shard.kind === 'onnx.generate' && shard.stage !== undefined)) return null;
  return Math.max(1, mostUnits(shard) === 1 ? pace.shardMs : pace.unitMs * mostUnits(shard));
}

/** How many leases a machine may have at once: a second's work, as far as its own history tells; one where it has none. */
export function batchOf(pace: Pace | null, wanted: number): number {
  if (pace === null) return 1;
  return Math.min(Math.max(Math.floor(BATCH_MS / Math.max(pace.shardMs, 1)), 1), wanted);
}

/** What a shard counts for in its requester's share (ms of a machine): what the network's machines took for this model. */
export function costOf(everyones: Pace | null): number {
  return everyones === null ? UNKNOWN_COST_MS : Math.max(1, Math.round(everyones.shardMs));
}

/**
 * How long a lease lasts without a heartbeat. Short work that is known well comes back soon from a machine that vanished; where nothing is known, or a model
 * has to be fetched first, it is the longest.
 * @param expected ms until the work is done, what is lent before it included
 */
export function leaseMsOf(expected: number | null, hasModel: boolean, bounds: { leastMs: number; mostMs: number }): number {
  if (expected === null || !hasModel) return bounds.mostMs;
  return Math.min(Math.max(Math.ceil(expected * LEASE_FACTOR), bounds.leastMs), bounds.mostMs);
}

/** What a model's way to a machine may take (ms) before anybody wonders: at 20 MB/s; a minute where its size isn't known. */
export function fetchMs(modelBytes: number | null): number {
  return modelBytes === null ? 60_000 : modelBytes / 20_000;
}

/** After how long (ms) work that should be done after `expected` is late enough to be given to a second machine near its job's end. */
export function lateAfterMs(expected: number): number {
  return Math.ceil(expected * LATE_FACTOR) + LATE_GRACE_MS;
}
