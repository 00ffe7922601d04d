import type { BackendName } from '../../core/contract/backends.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import type { AssetId } from '../../core/contract/money.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { AttemptKey, ShardRecord } from '../store.ts';

/** How an audited result stands to a second worker's; `refuted` only by the reference's word. */
export type TwinVerdict =
  | { type: 'agrees'; distance: number | null }
  | { type: 'unchecked'; detail: string }
  | { type: 'refuted'; detail: string };

/** In the place of an attempt's number: the copy is held against nobody's result, but measured (measuring.ts). */
export const MEASURED = 0;

/** A copy of an audited shard, in a job of its own, for a second worker that doesn't know what it is for. */
export interface Twin {
  shardId: string;
  /** The attempt whose result it is held against, whose that is, what it commits to, and what computed it. */
  source: AttemptKey;
  worker: Address;
  outputs: Sha256;
  backend: BackendName | null;
  /** Who may have it. */
  offered: Address;
  verdict: TwinVerdict | null;
}

export interface TwinReads {
  twin(shardId: string): Promise<Twin | null>;
  twinOf(source: AttemptKey): Promise<Twin | null>;
  /** A twin that waits for this worker; null where there is none. */
  twinFor(worker: Address): Promise<ShardRecord | null>;
  /** Whether a result of this worker waits for a second one's. */
  waitsForTwin(worker: Address): boolean;
  /** Those that nobody took since `before`. */
  twinsWaitingSince(before: number): Promise<string[]>;
  /** Whether a shard is one of no job: a canary or a twin. */
  isSpare(shardId: string): Promise<boolean>;
  /** What was accepted of shards that were lent for audits alone, which nobody but the network's operator pays. */
  auditPay(): Promise<Map<AssetId, bigint>>;
}

export interface TwinChanges {
  /** Queues a twin, the first time for an attempt; gives the one that there is. Null where its name is taken. */
  issueTwin(record: ShardRecord, twin: Omit<Twin, 'verdict' | 'shardId'>): string | null;
  /** Offers one that nobody took to somebody else. */
  offerTwin(shardId: string, from: Address, to: Address): boolean;
  /** Takes back one that nobody took. */
  dropTwin(shardId: string, at: number): boolean;
  /** Records what came of it, the first time. */
  settleTwin(shardId: string, verdict: TwinVerdict): void;
}
