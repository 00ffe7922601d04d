import type { AssetId } from '../../core/contract/money.ts';
import type { CoordinatorStatus } from '../../core/contract/operating.ts';
import type { Address } from '../../core/contract/receipt.ts';

/** Sums over what a coordinator remembers, for who operates it. */
export interface OperatorReads {
  counts(at: number): Promise<Counts>;
  workerCounts(): Promise<Map<Address, WorkerCounts>>;
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
