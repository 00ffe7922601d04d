import { createHash } from 'node:crypto';
import { type BlobRef, canonicalJson, type Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { JobRequest, LocalModel } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { SplitManifest } from '../../core/contract/stages.ts';
import { GenerationPlan, tokensOfStep } from './plan.ts';

/** What a staged job needs beside what every job does. */
export interface StagedOrder {
  plan: Uint8Array;
  planDigest: Sha256;
  /** The stages as models, in order, and their manifests by digest. */
  models: LocalModel[];
  refs: BlobRef[];
  /** Handed to every stage in place of inputs, which come step by step. */
  inputs: Uint8Array;
}

/**
 * A generation over stages as it is asked for. Pure but for its digests.
 * @throws MODEL_UNCUTTABLE where what is handed on is too much, USAGE, MODEL_INVALID, MODEL_NOT_GENERATIVE
 */
export function stagedOrder(jobId: string, request: Extract<JobRequest, { kind: 'onnx.generate' }>): StagedOrder {
  const given = request.split;
  const split = SplitManifest.safeParse(given?.manifest);
  if (!split.success || given === undefined)
    throw new HearthlendError('MODEL_INVALID', { detail: `its split has a malformed ${split.error?.issues[0]?.path.join('.')}` });
  if (split.data.decoder === null)
    throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: 'it was split as a graph that is run once' });
  const ids = decodeSafetensors(request.inputs).get('input_ids');
  const prompt = Array.from(new BigInt64Array(Uint8Array.from(ids?.data ?? []).buffer), Number);
  const { maxNewTokens, stopTokens, sampling } = request;
  const parsed = GenerationPlan.safeParse({ jobId, split: split.data, prompt, maxNewTokens, stopTokens, sampling, nonFinite: 'allow' });
  if (!parsed.success)
    throw new HearthlendError('USAGE', { detail: `${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}` });
  tokensOfStep(parsed.data);
  const models = parsed.data.split.stages.map(({ manifest }) => ({ manifest, files: given.files }));
  const plan = bytesOf(parsed.data);
  const refs = models.map(({ manifest }) => ({ digest: sha256(bytesOf(manifest)), bytes: bytesOf(manifest).byteLength }));
  return { plan, planDigest: sha256(plan), models, refs, inputs: encodeSafetensors(new Map()) };
}

const bytesOf = (value: unknown) => new TextEncoder().encode(canonicalJson(value));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
