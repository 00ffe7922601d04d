import type { BackendName } from '../contract/backends.ts';
import type { Sha256 } from '../contract/digest.ts';
import type { ErrorCode } from '../contract/errors.ts';

/** A worker on a GPU, as far as it matters for which shard it gets. */
export interface Lane {
  backend: BackendName;
  /** Shards that it was handed and hasn't computed: one that it is at, and what waits behind. */
  handed: number;
  /** The rules keep it from computing now. */
  aside: boolean;
  /** Loaded models. */
  warm: readonly Sha256[];
  /** Whether the backend refused this model before. */
  refuses(model: Sha256): boolean;
}

/** A shard that a worker computes, and one that it finds when it has. */
const MOST_HANDED = 2;

/**
 * The worker for a shard over this model: of those with the least to do the one that has it loaded, else any of them; undefined where the CPU is to
 * compute.
 */
export function pickLane<T extends Lane>(lanes: readonly T[], model: Sha256): T | undefined {
  const open = lanes.filter((lane) => lane.handed < MOST_HANDED && !lane.aside && !lane.refuses(model));
  const least = Math.min(...open.map(({ handed }) => handed));
  const free = open.filter(({ handed }) => handed === least);
  return free.find((lane) => lane.warm.includes(model)) ?? free[0];
}

/** What says of the backend, not of the shard, so that the CPU may still compute it. */
const CPU_MAY_TRY = new Set<ErrorCode>([
  'BACKEND_REFUSED',
  'RUN_FAILED',
  'MODEL_OVER_MEMORY',
  'WORKER_OUT_OF_MEMORY',
  'WORKER_CRASHED',
  'WORKER_START_FAILED',
  'WORKER_BACKING_OFF',
]);
/** Of these, what will be so again with this model. */
const STAYS_SO = new Set<ErrorCode>(['BACKEND_REFUSED', 'RUN_FAILED', 'WORKER_CRASHED']);
/** What passes: memory that others take just now, a driver that was reset. */
const PASSES =
  /out of memory|OUT_OF_(DEVICE|HOST)_MEMORY|Failed to allocate|ALLOC_FAILED|8007000E|DEVICE_LOST|device (was )?lost|887A000[5-7]/i;

/** What follows from a failure on a GPU: whether the CPU tries, and whether, if that works, this model stays with the CPU. */
export function afterFailure(code: ErrorCode, detail: string): { cpuTries: boolean; remember: boolean } {
  return { cpuTries: CPU_MAY_TRY.has(code), remember: STAYS_SO.has(code) && !PASSES.test(detail) };
}
