import type { Address } from '../../core/contract/receipt.ts';
import type { AttemptKey, AttemptRecord, Sequel, ShardRecord } from '../store.ts';
import type { Demand, Machine } from './demand.ts';
import type { Pace } from './pace.ts';
import type { Lot } from './share.ts';

/** Shards that are alike in what they ask, and how many of them wait. */
interface WaitingDemand {
  id: number;
  demand: Demand;
  queued: number;
}

type WaitingLot = Omit<Lot, 'costMs' | 'affinity'>;

/** A shard to be lent as the attempt after its last one. */
export interface NewLease extends Pick<AttemptRecord, 'shardId' | 'attempt' | 'worker' | 'payee' | 'leasedAt' | 'deadline'> {
  /** ms until it should be done, what was lent before it included; null where nothing tells. */
  expectedMs: number | null;
  /** Heartbeats keep it so long at most. */
  heldMs: number;
  /** What its requester's share is charged, ms of a machine. */
  costMs: number;
}

export interface LeasingReads {
  /** What waits, but for practice, the oldest demands first. */
  waitingDemands(limit: number): Promise<WaitingDemand[]>;
  /**
   * Lots of these demands, the least served requesters' and of them the least served demands' first: so many pairs of them, so many lots of each; and
   * as many of the demands in `here`, whose models the machine has. Nobody counts as further behind than `lagMs`, so that work that no machine could do for
   * long does not keep all others waiting once one comes.
   */
  waitingLots(
    demands: readonly number[],
    here: readonly number[],
    limits: { asks: number; lots: number },
    lagMs: number,
  ): Promise<WaitingLot[]>;
  /** Shards of a lot: those lent before, then in the order in which they came; those that this worker failed at last, or not at all. */
  waitingShards(lot: number, worker: Address, limit: number, evenFailedHere: boolean): Promise<ShardRecord[]>;
  /** Practice that waits, oldest first. */
  waitingPractice(): Promise<ShardRecord | null>;
  /** Shards of this shard's job that wait, and what it asks; null for practice and for what is unknown. */
  lineOf(shardId: string): Promise<{ demand: Demand; jobQueued: number } | null>;
  /** What the job's waiting shards ask. */
  demandsOfJob(jobId: string): Promise<Demand[]>;
  /** How many shards wait, and of one requester. */
  queueLength(requester: string): Promise<{ all: number; own: number }>;
  /** How fast this worker computes a model, and how fast all of them do. */
  paces(worker: Address, model: string, unit: 'run' | 'token'): Promise<{ own: Pace | null; all: Pace | null }>;
  openAttemptsOf(worker: Address): Promise<AttemptRecord[]>;
  machinesSeenSince(at: number): Promise<Machine[]>;
}

export interface LeasingChanges {
  /** Lends shards that wait; gives those that were still to be had. */
  lend(leases: readonly NewLease[], lagMs: number): AttemptKey[];
  /** Lends a shard a second time, while one other worker has it. */
  lendAgain(lease: NewLease): boolean;
  /** A sign of life: starts all leases of a worker anew, and gives them. */
  renewAll(worker: Address, deadline: number): AttemptKey[];
  /** Ends an attempt that nobody renewed since its deadline was this one. */
  expire(key: AttemptKey, deadline: number, sequel: Sequel, at: number): boolean;
  seeMachine(worker: Address, machine: Machine, at: number): void;
}
