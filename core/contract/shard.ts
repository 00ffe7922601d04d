import { z } from 'zod';
import { BackendName } from './backends.ts';
import { BlobRef, Sha256 } from './digest.ts';
import { DecoderConfig } from './model.ts';
import { Amount, AssetId } from './money.ts';
import { Sampling } from './sampler.ts';

/** Identifiers of networks, jobs and shards: short, printable, safe in file names. */
export const NetworkId = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);
export const JobId = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/);
export const ShardId = z.string().regex(/^[a-zA-Z0-9_.-]{1,96}$/);
export const TensorName = z.string().min(1).max(1024);

/** Bounds within which a shard runs; the worker is killed at the first one passed. */
export const Limits = z.strictObject({
  wallMs: z.int().min(1).max(86_400_000),
  memoryBytes: z.int().min(1),
  outputBytes: z.int().min(0).max(0xffff_ffff),
});
export type Limits = z.infer<typeof Limits>;

/** Session options that change the bits of a result, and so belong to the shard. 0 threads: as many as the worker was given. */
export const SessionOptions = z.strictObject({
  intraOpThreads: z.int().min(0).max(256).default(0),
  graphOptimization: z.enum(['disabled', 'basic', 'extended', 'all']).default('all'),
});
export type SessionOptions = z.infer<typeof SessionOptions>;

const Price = z.strictObject({ asset: AssetId, unit: z.enum(['run', 'token']), perUnit: Amount });

const ShardBase = {
  id: ShardId,
  jobId: JobId,
  network: NetworkId,
  /** Digest of the canonical ModelManifest; `bytes` is the manifest's length. */
  model: BlobRef,
  /** A safetensors blob. `onnx.run`: the graph's inputs by name. `onnx.generate`: `input_ids`, int64 [1, n]. */
  inputs: BlobRef,
  limits: Limits,
  session: SessionOptions,
  /**
   * Whether outputs that are infinite or no number may be handed in; they may where it says nothing. For `onnx.generate`: whether a token may be
   * chosen by logits of which one is +∞ or no number.
   */
  nonFinite: z.enum(['allow', 'reject']).optional(),
  price: Price,
  /** Whose work: `practice`, the user's `own`, or a `network`'s stranger. Text is shown for the first two only. */
  origin: z.enum(['practice', 'own', 'network']),
};

/**
 * One stage of a model. Of a decoder it is lent for as long as the generation takes: steps come from the coordinator one by one, and the worker keeps the
 * stage's cache.
 * `plan` is the digest of what the coordinator drives it by; it is nobody else's to read.
 */
const StagePart = z.strictObject({
  index: z.int().min(0).max(63),
  of: z.int().min(1).max(64),
  plan: Sha256,
  /** Of a run: which outputs are the whole model's; the others are for later stages. */
  gives: z.array(TensorName).max(4096).optional(),
});

/** One pass. `outputs`: the graph's output names wanted, in order; empty: all of them. Result: a safetensors blob of those. */
export const RunShard = z.strictObject({
  ...ShardBase,
  kind: z.literal('onnx.run'),
  outputs: z.array(TensorName).max(4096),
  /** Its inputs are then outputs of the stages before it. */
  stage: StagePart.optional(),
});

/** A decoder loop. Result: a safetensors blob with `tokens`, int64 [m]: the generated ids, the stop token included when it was drawn. */
export const GenerateShard = z.strictObject({
  ...ShardBase,
  kind: z.literal('onnx.generate'),
  decoder: DecoderConfig,
  maxNewTokens: z.int().min(1).max(1_000_000),
  stopTokens: z.array(z.int().min(0)).max(64),
  sampling: Sampling,
  /** Whether its requester reads along: the worker then tells the tokens while it makes them. */
  stream: z.boolean().optional(),
  /** A stage of it alone: then its model is the stage's, its result `steps`, uint8 [n, 32]: the SHA-256 of each step's outputs, in order. */
  stage: StagePart.optional(),
});

export const Shard = z.discriminatedUnion('kind', [RunShard, GenerateShard]);
export type Shard = z.infer<typeof Shard>;
export type RunShard = z.infer<typeof RunShard>;
export type GenerateShard = z.infer<typeof GenerateShard>;

/** Units that a result is paid for: 1 for a run, the tokens made for a generation. */
export function unitsOf(shard: Shard, tokensMade: number): number {
  return shard.price.unit === 'run' ? 1 : tokensMade;
}

/** A shard lent to one worker until a deadline (ms since 1970, the coordinator's clock; `leaseMs` is what the agent counts down). */
export const Lease = z.strictObject({
  shard: Shard,
  attempt: z.int().min(1).max(1_000_000),
  deadline: z.int(),
  leaseMs: z.int().min(1),
  /** Whom its receipt will name; left out where one who pays is paid. */
  payee: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/)
    .optional(),
});
export type Lease = z.infer<typeof Lease>;

/** What a worker sends when it has computed: the commitment is the SHA-256 of the outputs blob that goes with it. */
export const Submission = z.strictObject({
  shardId: ShardId,
  attempt: z.int().min(1),
  commitment: Sha256,
  outputBytes: z.int().min(0),
  units: z.int().min(0),
  runMs: z.number().min(0),
  /** What computed it, as the worker says. Left out where that is not known any more: after a restart. */
  backend: BackendName.optional(),
});
export type Submission = z.infer<typeof Submission>;
