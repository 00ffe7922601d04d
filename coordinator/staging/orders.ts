import { createHash } from 'node:crypto';
import { type BlobRef, canonicalJson, type Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { JobOrder, JobRequest, LocalModel } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { SplitManifest } from '../../core/contract/stages.ts';
import { givenByStage, runPlan } from './chain.ts';
import { GenerationPlan, tokensOfStep } from './plan.ts';

/** What a staged job needs beside what every job does. */
export interface StagedOrder {
  plan: Uint8Array;
  planDigest: Sha256;
  /** The stages as models, in order, and their manifests by digest. */
  models: LocalModel[];
  refs: BlobRef[];
  /** Of a run what its first stage takes; of a generation nothing, for every stage, since inputs come step by step. */
  inputs: Uint8Array;
  /** Stages in all, and how many of them are shards from the start: of a run the first, since the others' inputs are to be made. */
  of: number;
  atFirst: number;
  /** Outputs of the first stage of a run; null for a generation. */
  gives: { all: string[]; job: string[] } | null;
}

/**
 * A job over stages as it is asked for.
 * @throws MODEL_UNCUTTABLE where what is handed on is too much, USAGE, MODEL_INVALID, MODEL_NOT_GENERATIVE, INPUT_MISSING
 */
export function stagedOrder(jobId: string, request: JobRequest, { backends, category }: JobOrder): StagedOrder | null {
  const given = request.split;
  if (given === undefined) return null;
  const parsed = SplitManifest.safeParse(given.manifest);
  if (!parsed.success)
    throw new HearthlendError('MODEL_INVALID', { detail: `its split has a malformed ${parsed.error.issues[0]?.path.join('.')}` });
  const split = parsed.data;
  const models = split.stages.map(({ manifest }) => ({ manifest, files: given.files }));
  const refs = models.map(({ manifest }) => ({ digest: sha256(bytesOf(manifest)), bytes: bytesOf(manifest).byteLength }));
  const of = models.length;
  if (request.kind === 'onnx.run') {
    const needs = { ...(backends === undefined ? {} : { backends }), ...(category === undefined ? {} : { category }) };
    const run = runPlan(request, split, needs);
    const plan = bytesOf(run.plan);
    return { plan, planDigest: sha256(plan), models, refs, inputs: run.inputs, of, atFirst: 1, gives: givenByStage(run.plan, 0) };
  }
  const plan = bytesOf(generationPlan(jobId, request, split));
  return { plan, planDigest: sha256(plan), models, refs, inputs: encodeSafetensors(new Map()), of, atFirst: of, gives: null };
}

function generationPlan(jobId: string, request: Extract<JobRequest, { kind: 'onnx.generate' }>, split: SplitManifest): GenerationPlan {
  if (split.decoder === null) throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: 'it was split as a graph that is run once' });
  const ids = decodeSafetensors(request.inputs).get('input_ids');
  const prompt = Array.from(new BigInt64Array(Uint8Array.from(ids?.data ?? []).buffer), Number);
  const { maxNewTokens, stopTokens, sampling } = request;
  const plan = GenerationPlan.safeParse({ jobId, split, prompt, maxNewTokens, stopTokens, sampling, nonFinite: 'allow' });
  if (!plan.success)
    throw new HearthlendError('USAGE', { detail: `${plan.error.issues[0]?.path.join('.')}: ${plan.error.issues[0]?.message}` });
  tokensOfStep(plan.data);
  return plan.data;
}

const bytesOf = (value: unknown) => new TextEncoder().encode(canonicalJson(value));
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
