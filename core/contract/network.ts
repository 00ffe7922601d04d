import { z } from 'zod';
import { BackendName } from './backends.ts';
import { Quote } from './benchmark.ts';
import { Sha256 } from './digest.ts';
import { IsolationLevel } from './isolation.ts';
import { type MessageParams, MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { Address, type Signature, type SignedBatch, WorkReceipt } from './receipt.ts';
import { JobId, Lease, NetworkId, type Submission } from './shard.ts';
import type { OfferedVoucher } from './voucher.ts';

/** Tokens that a generation has made since they were told last, and the place of the first of them in its answer. */
export const MadeTokens = z.strictObject({ from: z.int().min(0), tokens: z.array(z.int().min(0)).min(1).max(1024) });
export type MadeTokens = z.infer<typeof MadeTokens>;

/** One attempt at a shard, by its name at a network. */
export interface HeldAttempt {
  shardId: string;
  attempt: number;
}

/** What a network says of itself at connecting. */
export const NetworkInfo = z.strictObject({
  id: NetworkId,
  coordinator: Address,
  asset: AssetId,
  /** Isolation levels under which it lets its work run. */
  isolation: z.array(IsolationLevel).min(1),
  /** Worker and coordinator are one trust domain: audits show faults, not honesty. */
  sameTrustDomain: z.boolean(),
  /** What it pays and how much work it has; left out where it doesn't say. */
  quote: Quote.optional(),
});
export type NetworkInfo = z.infer<typeof NetworkInfo>;

export const LeaseRequest = z.strictObject({
  isolation: IsolationLevel,
  /** Models that are loaded, most recent first, by digest: work on them is preferred. */
  warmModels: z.array(z.string()).max(256),
  memoryBytes: z.int().min(0),
  /** Whether practice is wanted too, beside others' and the user's own work. */
  practice: z.boolean(),
  /** What computes here, best first. `device` names the kind of it: audits compare like with like first. */
  backends: z
    .array(z.strictObject({ name: BackendName, device: z.string().max(200), memoryBytes: z.int().min(0) }))
    .max(16)
    .optional(),
  /** Models whose files are here, by digest: nothing has to be fetched for them. */
  diskModels: z.array(Sha256).max(1024).optional(),
  /** The least that this machine works for, per unit; work below it is not lent here, and its requester learns at what price it would be. */
  floors: z
    .array(z.strictObject({ asset: AssetId, unit: z.enum(['run', 'token']), perUnit: Amount }))
    .max(64)
    .optional(),
  /** Content categories that the user refuses. */
  refusedCategories: z.array(z.string().max(64)).max(64).optional(),
  /** How many leases are wanted at once at most, so that short shards don't wait for the network; 1 where left out. */
  count: z.int().min(1).max(64).optional(),
  /** How many stages of decoders this machine can take besides what it has; none where left out. */
  stages: z.int().min(0).max(64).optional(),
  /** The largest of those that there is room for now, in bytes of its model; not known where left out. */
  stageBytes: z.int().min(0).optional(),
});
export type LeaseRequest = z.infer<typeof LeaseRequest>;

/** A lease, or why there is none and when to ask again (null: when `onWork` says so). */
export const LeaseReply = z.discriminatedUnion('type', [
  /** `further`: more of them, where `count` allowed it, in the order in which they are to be run. */
  z.strictObject({ type: z.literal('lease'), lease: Lease, further: z.array(Lease).max(63).optional() }),
  z.strictObject({ type: z.literal('no-work'), reason: MessageRef, retryMs: z.int().min(1).nullable() }),
]);
export type LeaseReply = z.infer<typeof LeaseReply>;

/** The answer to a submission; the same one each time the same (shard, attempt) is submitted again. */
export const SubmitReply = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('accepted'), receipt: WorkReceipt, audited: z.boolean() }),
  z.strictObject({ type: z.literal('disputed') }),
  z.strictObject({ type: z.literal('rejected'), code: z.string().max(64), detail: z.string().max(1000) }),
  z.strictObject({ type: z.literal('expired') }),
]);
export type SubmitReply = z.infer<typeof SubmitReply>;

/** Bytes by digest: a file on this machine (to be linked, not copied), or a stream from `offset`. The reader verifies the digest. */
export type BlobSource = { type: 'file'; path: string } | { type: 'stream'; stream: AsyncIterable<Uint8Array> };

/** What a stage is to do next. `wait`: nothing yet, ask again. `done`: the generation is over, and what was computed is to be submitted. */
export const StageReply = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('step'), tokens: z.int().min(1).max(1_000_000) }),
  z.strictObject({ type: z.literal('wait') }),
  z.strictObject({ type: z.literal('done') }),
]);
/** With a step go its inputs, a safetensors blob. */
export type StageReply = z.infer<typeof StageReply> & { inputs?: Uint8Array };

/**
 * One network, as the agent sees it. Implementations: `local` (the embedded coordinator) and, later, NATS. Every method rejects with a
 * HearthlendError; a connection that is lost rejects with NETWORK_UNKNOWN's siblings and reconnects by itself.
 */
export interface Network {
  readonly id: string;
  /**
   * @param worker.holds the attempts that a worker which starts has on record as open: others that were lent to it go back at once, since it died
   *   before it could write them down. Left out by one that goes on.
   */
  connect(worker: { address: Address; payee: Address; holds?: readonly HeldAttempt[] }): Promise<NetworkInfo>;
  lease(request: LeaseRequest): Promise<LeaseReply>;
  /**
   * Heartbeat with progress in [0, 1] or null; false where the lease is gone and the work is to be dropped. It shows that the worker lives, and
   * so starts the countdown of `leaseMs` anew for every lease that this worker holds.
   * @param made what a shard with `stream` has made since
   */
  progress(shardId: string, attempt: number, fraction: number | null, made?: MadeTokens): Promise<boolean>;
  fetchBlob(digest: Sha256, offset: number): Promise<BlobSource>;
  /** @param kept a file on this machine with the same bytes, durable until the answer: to be linked, not copied */
  submit(submission: Submission, outputs: Uint8Array, kept?: string): Promise<SubmitReply>;
  /** Hands a shard back, or says that it can't be computed: `code` and `params` are then the error's, for the requester to read. */
  release(
    shardId: string,
    attempt: number,
    reason: 'paused' | 'stopped' | 'crashed' | 'failed',
    code: string | null,
    params?: MessageParams,
  ): Promise<void>;
  /** Hands back what was lent ahead (`further`) and not asked for yet; left out where nothing ever is. */
  dropAhead?(reason: 'paused' | 'stopped'): Promise<void>;
  /**
   * A stage hands in what its latest step made (null where it has none, or handed that in already) and is told the next. A call waits some seconds for
   * it. @param step how many steps this attempt has computed
   * @throws LEASE_EXPIRED, LEASE_UNKNOWN, RESULT_MALFORMED
   */
  exchange?(shardId: string, attempt: number, step: number, outputs: Uint8Array | null): Promise<StageReply>;
  /** Receipts after `sequence`, oldest first: what a restarted agent may have missed. */
  receiptsSince(sequence: number): Promise<WorkReceipt[]>;
  /** What is promised for receipts after `last`, oldest first; left out where nothing ever is. `worker`: a former key of this machine's. */
  vouchers?(last: number, worker?: Address, payee?: Address): Promise<OfferedVoucher[]>;
  /** Batches that the coordinator has signed and this worker has not, oldest first. `leaving`: the one still open is closed and given too. */
  pendingBatches(options?: { leaving: boolean }): Promise<SignedBatch[]>;
  countersign(batch: { network: string; last: number }, signature: Signature): Promise<void>;
  /** Called when work may have come, when a batch waits for a signature, and when a lease was taken back. */
  subscribe(listener: (event: NetworkEvent) => void): () => void;
  close(): Promise<void>;
}

export type NetworkEvent =
  | { type: 'work' }
  | { type: 'batch' }
  | { type: 'voucher' }
  | { type: 'revoked'; shardId: string; attempt: number };

/** What a job costs (base units for each unit): `maxUnits` at most, `units` so far. */
export const JobCharge = z.strictObject({
  asset: AssetId,
  unit: z.enum(['run', 'token']),
  perUnit: Amount,
  maxUnits: z.int().min(0),
  units: z.int().min(0),
});
export type JobCharge = z.infer<typeof JobCharge>;

/** A job as the requester sees it. */
export const JobStatus = z.strictObject({
  id: JobId,
  network: NetworkId,
  kind: z.enum(['onnx.run', 'onnx.generate']),
  state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled']),
  createdAt: z.int(),
  finishedAt: z.int().nullable(),
  shards: z.int().min(0),
  accepted: z.int().min(0),
  error: z.strictObject({ code: z.string().max(64), params: z.record(z.string(), z.union([z.string(), z.number()])) }).nullable(),
  /** Left out by coordinators that charge nothing. */
  charge: JobCharge.optional(),
  /** Told while it waits because it pays less than every machine asks that could compute it: what a unit would have to pay (base units). */
  wouldRunAt: Amount.optional(),
});
export type JobStatus = z.infer<typeof JobStatus>;
