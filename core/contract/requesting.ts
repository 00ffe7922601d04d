import { z } from 'zod';
import { MAX_PARTS } from './batch.ts';
import { BlobRef, type Sha256 } from './digest.ts';
import { DecoderConfig, ModelManifest } from './model.ts';
import { Amount, AssetId } from './money.ts';

import { Sampling } from './sampler.ts';
import { JobId, Limits, NetworkId, SessionOptions, TensorName } from './shard.ts';
import { SplitManifest } from './stages.ts';

/**
 * What a requester asks of a coordinator over its HTTPS, with `Authorization: Bearer <key>`. Refusals are `{error: {code, params}}`.
 * GET /v1/requester; GET and POST /v1/jobs; GET (`?waitMs=`: until it changes) and DELETE /v1/jobs/ID; GET /v1/jobs/ID/outputs, and each of them,
 * with ranges, under its number from 0; HEAD and PUT /v1/uploads/DIGEST, piece after piece.
 */
export const REQUESTER_PATHS = {
  requester: '/v1/requester',
  jobs: '/v1/jobs',
  job: (id: string) => `/v1/jobs/${id}`,
  outputs: (id: string) => `/v1/jobs/${id}/outputs`,
  output: (id: string, index: number) => `/v1/jobs/${id}/outputs/${index}`,
  upload: (digest: Sha256) => `/v1/uploads/${digest}`,
} as const;

/** Bytes of an upload that are there, bytes that there will be, in the head of requests and answers. */
export const UPLOAD_OFFSET = 'upload-offset';
export const UPLOAD_LENGTH = 'upload-length';

/** Longest time (ms) for which a job's change is waited for in one request: less than what stands between may cut off. */
export const MAX_WAIT_MS = 20_000;

/** Inputs of one job together, in bytes. */
export const MAX_JOB_INPUT_BYTES = 512 * 2 ** 20;

/** What a coordinator says to whoever holds a key. */
export const RequesterView = z.strictObject({
  name: z.string().max(64),
  network: NetworkId,
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  prices: z.array(z.strictObject({ unit: z.enum(['run', 'token']), perUnit: Amount, note: z.string().max(200) })).max(64),
  budget: Amount.nullable(),
  spent: Amount,
});
export type RequesterView = z.infer<typeof RequesterView>;

const order = {
  model: ModelManifest,
  limits: Limits,
  session: SessionOptions,
  /** What is offered for a unit; by the price list where left out. */
  perUnit: Amount.optional(),
  /** What the job may cost at most. */
  maxCost: Amount.optional(),
};

/** The model in stages, each for a worker of its own; their files are uploaded, and the whole model's not. */
const split = SplitManifest.optional();

/** A job, its bytes by digest: one pass for each of its inputs, or a text that a decoder goes on with. The same one sent again is the same job. */
export const RequestedJob = z.discriminatedUnion('kind', [
  z.strictObject({
    ...order,
    kind: z.literal('onnx.run'),
    /** A safetensors blob for each shard, in order. */
    inputs: z.array(BlobRef).min(1).max(MAX_PARTS),
    outputs: z.array(TensorName).max(4096),
    split,
  }),
  z.strictObject({
    ...order,
    kind: z.literal('onnx.generate'),
    inputs: z.array(BlobRef).length(1),
    decoder: DecoderConfig,
    maxNewTokens: z.int().min(1).max(1_000_000),
    stopTokens: z.array(z.int().min(0)).max(64),
    sampling: Sampling,
    split,
  }),
]);
export type RequestedJob = z.infer<typeof RequestedJob>;

/** With JOB_BLOBS_MISSING: what is to be uploaded first. */
export const MissingBlobs = z.object({ missing: z.array(BlobRef).max(MAX_PARTS + 4096) });

export const JobOutputs = z.strictObject({
  job: JobId,
  outputs: z
    .array(z.strictObject({ ...BlobRef.shape, gives: z.array(TensorName).max(4096).optional() }))
    .min(1)
    .max(MAX_PARTS),
});
