import type { AuditReport } from '../core/contract/audits.ts';
import type {
  HeldAttempt,
  LeaseReply,
  LeaseRequest,
  MadeTokens,
  NetworkEvent,
  NetworkInfo,
  StageReply,
  SubmitReply,
} from '../core/contract/network.ts';
import type { Address, Signature, SignedBatch, WorkReceipt } from '../core/contract/receipt.ts';
import type { Submission } from '../core/contract/shard.ts';
import type { OfferedVoucher } from '../core/contract/voucher.ts';
import type { Exchanging } from './others.ts';
import type { AttemptKey, Failure } from './store.ts';

/** A worker as its transport has proven it. */
export interface Worker {
  address: Address;
  payee: Address;
  /** Payees of before: what was earned for them is promised to them. */
  former?: readonly Address[];
  /** Why it is lent no work: what its wallet signed for it was taken back, or its time is over. */
  stopped?: 'revoked' | 'expired' | null;
}

/**
 * What a coordinator does for workers, whatever carries it: calls of this process, or NATS. Any instance answers any call of any worker: what has to
 * outlast a call is in the store. Every method rejects with a HearthlendError.
 */
export interface WorkerService {
  connect(worker: Worker, holds?: readonly HeldAttempt[]): Promise<NetworkInfo>;
  lease(worker: Worker, request: LeaseRequest): Promise<LeaseReply>;
  progress(worker: Worker, key: AttemptKey, fraction: number | null, made?: MadeTokens): Promise<boolean>;
  /** See Network.exchange. */
  exchange(worker: Worker, key: AttemptKey, step: number, outputs: Uint8Array | null, how?: Exchanging): Promise<StageReply>;
  /** @param kept see Network.submit */
  submit(worker: Worker, submission: Submission, outputs: Uint8Array, kept?: string): Promise<SubmitReply>;
  release(worker: Worker, key: AttemptKey, reason: 'paused' | 'stopped' | 'crashed' | 'failed', failure: Failure | null): Promise<void>;
  receiptsSince(worker: Worker, sequence: number, limit: number): Promise<WorkReceipt[]>;
  pendingBatches(worker: Worker, options: { leaving: boolean; limit: number }): Promise<SignedBatch[]>;
  countersign(worker: Worker, last: number, signature: Signature): Promise<void>;
  /** What is promised to this worker's payee for receipts after `last`, oldest first; or that of a worker `of` whose place it took, or to a `payee` that it had before. */
  vouchers(worker: Worker, last: number, limit: number, of?: Address, payee?: Address): Promise<OfferedVoucher[]>;
  /** How the worker stands, and its latest audits. */
  audits(worker: Worker): Promise<AuditReport>;
  /** Whether a worker may read these bytes: a model's or inputs' of an attempt that it holds. */
  mayRead(worker: Worker, digest: string): Promise<boolean>;
  /** `to` is null for what concerns every worker. */
  subscribe(listener: (event: NetworkEvent, to: Address | null) => void): () => void;
}
