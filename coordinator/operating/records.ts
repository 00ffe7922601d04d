import type { AssetId } from '../../core/contract/money.ts';
import type { CoordinatorStatus } from '../../core/contract/operating.ts';
import type { Address } from '../../core/contract/receipt.ts';

/** Sums over what a coordinator remembers, for who operates it. */
export interface OperatorReads {
  counts(at: number): Promise<Counts>;
  workerCounts(): Promise<Map<Address, WorkerCounts>>;
  /** What was accepted in an asset and no voucher covers yet, by worker and by whom it is to be paid to (lower case). */
  uncovered(asset: AssetId): Promise<Array<{ worker: Address; payee: Address; amount: bigint }>>;
  /** What of an asset was accepted at `at` or later, to the minute: a minute that has begun before counts whole. */
  acceptedSince(asset: AssetId, at: number): Promise<bigint>;
}

export interface Counts extends Pick<CoordinatorStatus, 'jobs' | 'shards' | 'audits'> {
  suspended: number;
  /** What was accepted since the beginning. */
  accepted: Map<AssetId, bigint>;
}

export interface WorkerCounts {
  open: number;
  accepted: number;
  earned: Map<AssetId, bigint>;
}
