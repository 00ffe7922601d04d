import type { Bytes32, Sha256 } from '../core/contract/digest.ts';
import type { MessageParams } from '../core/contract/messages.ts';
import type { JobStatus, SubmitReply } from '../core/contract/network.ts';
import type { Address, Signature, SignedBatch, WorkReceipt } from '../core/contract/receipt.ts';
import type { Shard, Submission } from '../core/contract/shard.ts';

/** Why a job, or one attempt at it, could not be computed: an error's code, and the parameters of its message. */
export interface Failure {
  code: string;
  params: MessageParams;
}

/** A shard in the coordinator's books. `settling`: a result is committed to and not answered yet. */
export interface ShardRecord {
  shard: Shard;
  /** Ids in the prompt of a generation, 0 for a run: what its result is checked against. */
  promptTokens: number;
  state: 'queued' | 'leased' | 'settling' | 'done' | 'failed' | 'cancelled';
  /** The attempt lent last; 0 before the first. */
  attempt: number;
  /** ms since 1970. */
  createdAt: number;
}

/** How an attempt ended that brought no result. */
export interface AttemptEnd {
  state: 'released' | 'failed' | 'expired';
  reason: 'paused' | 'stopped' | 'crashed' | 'failed' | 'expired';
  failure: Failure | null;
}

export interface AttemptKey {
  shardId: string;
  attempt: number;
}

/** One lending of a shard to a worker. Times in ms since 1970. */
export interface AttemptRecord extends AttemptKey {
  worker: Address;
  payee: Address;
  state: 'leased' | 'submitted' | 'disputed' | 'accepted' | 'rejected' | 'cancelled' | AttemptEnd['state'];
  leasedAt: number;
  deadline: number;
  reason: AttemptEnd['reason'] | null;
  failure: Failure | null;
  /** What the worker committed to, recorded before `audit` is drawn. */
  submission: Submission | null;
  audit: boolean | null;
  /** The answer, given again each time the attempt is submitted. */
  reply: SubmitReply | null;
}

/** What becomes of a shard whose attempt ended without acceptance. */
export type Sequel = { state: 'queued' } | { state: 'failed'; failure: Failure };

/** The end of a receipt chain: sequence 0 and 32 zero bytes before the first. */
export interface ReceiptHead {
  sequence: number;
  hash: Bytes32;
}

/**
 * What a coordinator remembers. Each method is one atomic step, durable when it resolves; those that change state compare first and say false
 * or null where somebody else was faster, so that several coordinators can stand on one store. Every method may reject with DISK_FULL,
 * DATABASE_CORRUPT or DATABASE_UNAVAILABLE.
 */
export interface Store extends JobStore, LeaseStore, ReceiptStore, BlobHolds {
  close(): void;
}

export interface JobStore {
  addJob(job: JobStatus, shards: readonly ShardRecord[]): Promise<void>;
  /** Numbers from 0, each given once. */
  takePracticeNumber(): Promise<number>;
  addPractice(shard: ShardRecord): Promise<void>;
  job(id: string): Promise<JobStatus | null>;
  /** Newest first. */
  jobs(limit: number): Promise<JobStatus[]>;
  shardsOf(jobId: string): Promise<ShardRecord[]>;
  /** Cancels a job that is not over, with its shards and the attempts at them; gives those that were being computed. */
  cancelJob(id: string, at: number): Promise<{ job: JobStatus; revoked: AttemptRecord[] } | null>;
  /** Jobs that are over since before `at`, whose outputs may still be held. */
  jobsOverBefore(at: number): Promise<string[]>;
  /** Forgets jobs and practice that are over since before `at`. Receipts and batches stay. */
  forgetBefore(at: number): Promise<void>;
}

export interface LeaseStore {
  /** Own shards, oldest first, then practice. */
  queued(limit: number): Promise<ShardRecord[]>;
  shard(id: string): Promise<ShardRecord | null>;
  attempt(key: AttemptKey): Promise<AttemptRecord | null>;
  attemptsOf(shardId: string): Promise<AttemptRecord[]>;
  /** Attempts in state `leased`, `submitted` or `disputed`, of all workers. */
  openAttempts(): Promise<AttemptRecord[]>;
  /** Lends a queued shard as the attempt after its last one. */
  lend(attempt: AttemptRecord): Promise<boolean>;
  renew(key: AttemptKey, deadline: number): Promise<boolean>;
  /** Ends an attempt that is leased, or committed to and unanswered, and with `failed` the shard's job too. */
  endAttempt(key: AttemptKey, from: 'leased' | 'submitted', end: AttemptEnd, sequel: Sequel, at: number): Promise<boolean>;
  /** Records what a leased attempt commits to. False where it is not leased any more. */
  commit(submission: Submission): Promise<boolean>;
  /** Records whether an attempt is audited, the first time; gives what is recorded. */
  drawAudit(key: AttemptKey, audit: boolean): Promise<boolean>;
  dispute(key: AttemptKey): Promise<void>;
  /** Answers a submitted attempt with `rejected`. */
  reject(key: AttemptKey, reply: SubmitReply, failure: Failure, sequel: Sequel, at: number): Promise<boolean>;
  /**
   * Accepts a submitted attempt and appends its receipt, in one step. `chain` makes the receipt that follows a head; it may be called again
   * where another one was appended meanwhile. Null where the attempt is not to be answered any more.
   */
  accept(
    key: AttemptKey,
    audited: boolean,
    chain: (head: ReceiptHead) => { receipt: WorkReceipt; hash: Bytes32 },
    at: number,
  ): Promise<WorkReceipt | null>;
}

export interface ReceiptStore {
  receiptsAfter(worker: Address, sequence: number, limit: number): Promise<WorkReceipt[]>;
  /** Workers with receipts that are in no batch yet. */
  workersWithUnbatched(): Promise<Address[]>;
  /** The oldest receipts that are in no batch yet, in sequence. */
  unbatched(worker: Address, limit: number): Promise<WorkReceipt[]>;
  /** False where a batch with these receipts is there already. */
  addBatch(batch: SignedBatch): Promise<boolean>;
  batch(worker: Address, last: number): Promise<SignedBatch | null>;
  /** Batches without the worker's signature, oldest first. */
  pendingBatches(worker: Address, limit: number): Promise<SignedBatch[]>;
  countersign(worker: Address, last: number, signature: Signature): Promise<void>;
}

/** Who needs which bytes. Bytes that nobody holds are removed. */
export interface BlobHolds {
  hold(holder: string, digests: readonly Sha256[]): Promise<void>;
  /** Gives the digests that nobody holds any more. */
  letGo(holder: string): Promise<Sha256[]>;
  holders(): Promise<string[]>;
  heldBlobs(): Promise<Set<Sha256>>;
}

/** Practice done on a day, and how much there may be. Only an embedded coordinator has practice, so this is beside the store. */
export interface PracticeBook {
  /** Practice accepted in [from, to), ms since 1970, and the run time of all results that came. */
  spent(from: number, to: number): { accepted: number; runMs: number };
  /** Practice lent out or being settled now. */
  outstanding(): number;
  /** The limits of a day that the user changed; undefined where they are the usual ones. */
  limits(day: string): PracticeLimits | undefined;
  setLimits(day: string, limits: PracticeLimits): void;
}

export interface PracticeLimits {
  shards: number;
  ms: number;
}
