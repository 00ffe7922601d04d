import type { Bytes32, Sha256 } from '../core/contract/digest.ts';
import type { MessageParams } from '../core/contract/messages.ts';
import type { JobStatus, SubmitReply } from '../core/contract/network.ts';
import type { Address, Signature, SignedBatch, WorkReceipt } from '../core/contract/receipt.ts';
import type { Shard, Submission } from '../core/contract/shard.ts';
import type { MemberChanges, MemberReads } from './joining/members.ts';
import type { PayoutChanges, PayoutReads } from './joining/payouts.ts';
import type { SuccessorChanges, SuccessorReads } from './joining/successors.ts';
import type { Needs } from './leasing/demand.ts';
import type { LeasingChanges, LeasingReads } from './leasing/records.ts';
import type { PeerChanges, PeerReads } from './operating/peers.ts';
import type { OperatorReads } from './operating/records.ts';
import type { AddJobResult, JobTerms, RequesterChanges, RequesterReads } from './requesters.ts';
import type { StagingChanges, StagingReads } from './staging/records.ts';
import type { TrustChanges, TrustReads } from './trust/records.ts';
import type { TwinChanges, TwinReads } from './trust/twins.ts';
import type { VouchingChanges, VouchingReads } from './vouching/records.ts';

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
  /** What it asks of the machine; told when it is added, and by the line it waits in from then on (leasing/records.ts). */
  needs?: Needs;
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
 * What a coordinator remembers: plain queries of its own SQLite file, and *changes*, which go through one log (change-log.ts). A change is a
 * synchronous function of the database and its arguments alone: no clock, no chance, no callback. So every coordinator that applies the same log has
 * the same state and the same results. Those that compare first say false or null where somebody else was faster. An append resolves when its change is
 * applied here and durable; each may reject with DISK_FULL, DATABASE_CORRUPT or DATABASE_UNAVAILABLE.
 */
export interface Store extends Reads, Appends<Changes> {
  /** Called after each change is applied, whichever coordinator of the network made it, in the log's order. */
  onApplied(listener: (applied: Applied) => void): () => void;
  close(): Promise<void>;
}

/** Changes as their callers see them. Arguments and results are plain JSON: they travel and are compared. */
export type Appends<C> = {
  [N in keyof C]: C[N] extends (...args: infer A) => infer R ? (...args: A) => Promise<R> : never;
};

/** The parts that a feature needs: what it reads, and what it changes. */
export type ReceiptStore = ReceiptReads & Appends<ReceiptChanges>;
export type BlobHolds = HoldReads & Appends<HoldChanges>;

/** A feature with tables of its own adds what it reads here, and its changes below; both are merged in sqlite/features.ts. */
export interface Reads
  extends JobReads,
    LeaseReads,
    LeasingReads,
    ReceiptReads,
    HoldReads,
    RequesterReads,
    TrustReads,
    TwinReads,
    MemberReads,
    SuccessorReads,
    PayoutReads,
    VouchingReads,
    PeerReads,
    OperatorReads,
    StagingReads {}
export interface Changes
  extends JobChanges,
    LeaseChanges,
    LeasingChanges,
    ReceiptChanges,
    HoldChanges,
    RequesterChanges,
    TrustChanges,
    TwinChanges,
    MemberChanges,
    SuccessorChanges,
    PayoutChanges,
    VouchingChanges,
    PeerChanges,
    StagingChanges {}

export type ChangeName = keyof Changes;

/** A change that was applied, and what came of it. `own`: it was asked for here, and not at another coordinator. */
export type Applied = {
  [N in ChangeName]: { name: N; args: Parameters<Changes[N]>; result: ReturnType<Changes[N]>; own: boolean };
}[ChangeName];

export interface JobReads {
  job(id: string): Promise<JobStatus | null>;
  /** Newest first. */
  jobs(limit: number): Promise<JobStatus[]>;
  shardsOf(jobId: string): Promise<ShardRecord[]>;
  /** Jobs that are over since before `at`, whose outputs may still be held. */
  jobsOverBefore(at: number): Promise<string[]>;
}

export interface JobChanges {
  /** `terms` is left out where nothing is charged. */
  addJob(job: JobStatus, shards: readonly ShardRecord[], terms?: JobTerms | null): AddJobResult;
  /** A further shard of an open job, whose inputs could not be known before. False where it is there already, or the job is over. */
  addStage(shard: ShardRecord): boolean;
  /** Numbers from 0, each given once. */
  takePracticeNumber(): number;
  addPractice(shard: ShardRecord): void;
  /** Cancels a job that is not over, with its shards and the attempts at them; gives those that were being computed. */
  cancelJob(id: string, at: number): { job: JobStatus; revoked: AttemptRecord[] } | null;
  /** Forgets jobs and practice that are over since before `at`. Receipts and batches stay. */
  forgetBefore(at: number): void;
}

export interface LeaseReads {
  shard(id: string): Promise<ShardRecord | null>;
  attempt(key: AttemptKey): Promise<AttemptRecord | null>;
  attemptsOf(shardId: string): Promise<AttemptRecord[]>;
  /** Attempts in state `leased`, `submitted` or `disputed`, of all workers. */
  openAttempts(): Promise<AttemptRecord[]>;
}

export interface LeaseChanges {
  /** Ends an attempt that is leased, or committed to and unanswered, and with `failed` the shard's job too. */
  endAttempt(key: AttemptKey, from: 'leased' | 'submitted', end: AttemptEnd, sequel: Sequel, at: number): boolean;
  /** Records what a leased attempt commits to. False where it is not leased any more. */
  commit(submission: Submission): boolean;
  /** Records whether an attempt is audited, the first time; gives what is recorded. */
  drawAudit(key: AttemptKey, audit: boolean): boolean;
  dispute(key: AttemptKey): void;
  /** Answers a submitted attempt with `rejected`. */
  reject(key: AttemptKey, reply: SubmitReply, failure: Failure, sequel: Sequel, at: number): boolean;
  /**
   * Accepts a submitted attempt and appends its receipt, in one step. `moved`: the worker's receipts don't end any more where this one follows, so it
   * has to be made anew (chaining.ts does). `over`: the attempt is not to be answered any more.
   */
  accept(key: AttemptKey, audited: boolean, receipt: WorkReceipt, hash: Bytes32, at: number): 'accepted' | 'moved' | 'over';
}

export interface ReceiptReads {
  /** Where the worker's receipts end now. At once, so that nothing comes between it and what is made of it. */
  receiptHead(worker: Address): ReceiptHead;
  receiptsAfter(worker: Address, sequence: number, limit: number): Promise<WorkReceipt[]>;
  /** Workers with receipts that are in no batch yet. */
  workersWithUnbatched(): Promise<Address[]>;
  /** The oldest receipts that are in no batch yet, in sequence. */
  unbatched(worker: Address, limit: number): Promise<WorkReceipt[]>;
  batch(worker: Address, last: number): Promise<SignedBatch | null>;
  /** Batches without the worker's signature, oldest first. */
  pendingBatches(worker: Address, limit: number): Promise<SignedBatch[]>;
}

export interface ReceiptChanges {
  /** False where a batch with these receipts is there already. */
  addBatch(batch: SignedBatch): boolean;
  countersign(worker: Address, last: number, signature: Signature): void;
}

/** Who needs which bytes. Bytes that nobody holds are removed. */
export interface HoldReads {
  /** Whether anybody holds these bytes now. At once, so that nothing comes between it and what follows from it. */
  isHeld(digest: Sha256): boolean;
  holders(): Promise<string[]>;
  isHolder(holder: string): Promise<boolean>;
  heldBlobs(): Promise<Set<Sha256>>;
}

export interface HoldChanges {
  hold(holder: string, digests: readonly Sha256[]): void;
  /** Gives the digests that nobody holds any more. */
  letGo(holder: string): Sha256[];
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
