import { z } from 'zod';
import { AuditReport } from './audits.ts';
import type { Sha256 } from './digest.ts';
import { LeaseReply, LeaseRequest, MadeTokens, NetworkInfo, StageReply, SubmitReply } from './network.ts';
import { Address, Signature, SignedBatch, WorkReceipt } from './receipt.ts';
import { ShardId, Submission } from './shard.ts';
import { OfferedVoucher } from './voucher.ts';

/** Which of several messages the outputs of a step come in, where they are over INLINE_BYTES: logits of a large vocabulary are. */
export const StagePart = z.strictObject({ index: z.int().min(0), of: z.int().min(2).max(64) }).refine(({ index, of }) => index < of);

/**
 * What a worker asks of a coordinator behind NATS: a request on `w.<W>.<call>`, W being the worker's nkey, which nats-server has proven. Request and
 * reply are one frame each (frame.ts): a header of JSON, and outputs as its body where they are small. `connect` comes first on every connection.
 */
export const WORKER_CALLS = {
  connect: {
    input: z.strictObject({
      version: z.string().max(64),
      holds: z
        .array(z.strictObject({ shardId: ShardId, attempt: z.int().min(1) }))
        .max(4096)
        .optional(),
    }),
    output: NetworkInfo,
  },
  lease: { input: LeaseRequest, output: LeaseReply },
  progress: {
    input: z.strictObject({
      shardId: ShardId,
      attempt: z.int().min(1),
      fraction: z.number().min(0).max(1).nullable(),
      made: MadeTokens.optional(),
    }),
    output: z.strictObject({ held: z.boolean() }),
  },
  /**
   * See Network.exchange. `handed`: the outputs are the frame's body, or that `part` of them, sent in order; only the last one's answer counts. A step's
   * inputs are the reply's body.
   */
  exchange: {
    input: z.strictObject({
      shardId: ShardId,
      attempt: z.int().min(1),
      step: z.int().min(0).max(1_000_000),
      handed: z.boolean(),
      part: StagePart.optional(),
    }),
    output: StageReply,
  },
  /** The outputs are the frame's body, or where they are over INLINE_BYTES were put by HTTPS before, under their digest. */
  submit: { input: z.strictObject({ submission: Submission, inline: z.boolean() }), output: SubmitReply },
  release: {
    input: z.strictObject({
      shardId: ShardId,
      attempt: z.int().min(1),
      reason: z.enum(['paused', 'stopped', 'crashed', 'failed']),
      code: z.string().max(64).nullable(),
      params: z.record(z.string().max(64), z.union([z.string().max(1000), z.number()])).default({}),
    }),
    output: z.strictObject({}),
  },
  receiptsSince: { input: z.strictObject({ sequence: z.int().min(0) }), output: z.array(WorkReceipt).max(128) },
  pendingBatches: { input: z.strictObject({ leaving: z.boolean() }), output: z.array(SignedBatch).max(64) },
  countersign: { input: z.strictObject({ last: z.int().min(1), signature: Signature }), output: z.strictObject({}) },
  audits: { input: z.strictObject({}), output: AuditReport },
  /** What is promised for receipts after `last`, oldest first. */
  /** `worker`: one that the caller took the place of; itself where left out. */
  vouchers: {
    input: z.strictObject({ last: z.int().min(0), worker: Address.optional(), payee: Address.optional() }),
    output: z.array(OfferedVoucher).max(64),
  },
  /** What opens /v1/blobs for this worker, for as long as it says (ms since 1970, the coordinator's clock), and where that is. */
  blobAccess: {
    input: z.strictObject({}),
    output: z.strictObject({ token: z.string().max(512), expiresAt: z.int(), urls: z.array(z.url().max(2000)).min(1).max(16) }),
  },
} as const satisfies Record<string, { input: z.ZodType; output: z.ZodType }>;

export type WorkerCallName = keyof typeof WORKER_CALLS;
export type WorkerCallInput<N extends WorkerCallName> = z.input<(typeof WORKER_CALLS)[N]['input']>;
export type WorkerCallOutput<N extends WorkerCallName> = z.output<(typeof WORKER_CALLS)[N]['output']>;

/** The header of a reply. */
export const WorkerReply = z.discriminatedUnion('ok', [
  z.strictObject({ ok: z.literal(true), output: z.unknown() }),
  z.strictObject({
    ok: z.literal(false),
    error: z.strictObject({
      code: z.string().max(64),
      params: z.record(z.string().max(64), z.union([z.string().max(2000), z.number()])),
    }),
  }),
]);
export type WorkerReply = z.infer<typeof WorkerReply>;

/** What a coordinator tells without being asked, on `_INBOX.<W>.events`. */
export const WorkerEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('work') }),
  z.strictObject({ type: z.literal('batch') }),
  z.strictObject({ type: z.literal('voucher') }),
  z.strictObject({ type: z.literal('revoked'), shardId: ShardId, attempt: z.int().min(1) }),
]);

/** Outputs up to this size travel with the submission; nats-server takes messages of 1 MiB unless told otherwise. */
export const INLINE_BYTES = 512 * 1024;
export const WORKER_FRAME_LIMITS = { headerBytes: 384 * 1024, bodyBytes: INLINE_BYTES };

/** Subjects and names on the wire. Source: DESIGN, section 6. */
export const WORKER_SUBJECTS = {
  call: (worker: string, call: WorkerCallName) => `w.${worker}.${call}`,
  /** What a worker may publish and subscribe to: this, and nothing else. */
  publish: (worker: string) => `w.${worker}.>`,
  subscribe: (worker: string) => `_INBOX.${worker}.>`,
  inboxPrefix: (worker: string) => `_INBOX.${worker}`,
  events: (worker: string) => `_INBOX.${worker}.events`,
} as const;

/** A blob's path on a coordinator's HTTPS: GET with ranges, and PUT of outputs, both with `Authorization: Bearer <token>`. */
export const blobPath = (digest: Sha256): string => `/v1/blobs/${digest}`;
