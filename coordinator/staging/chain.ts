import { createHash } from 'node:crypto';
import { z } from 'zod';
import { BackendName } from '../../core/contract/backends.ts';
import { BlobRef, canonicalJson } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { JobRequest } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { RunShard } from '../../core/contract/shard.ts';
import { SplitManifest } from '../../core/contract/stages.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';

/** By what the stages of a graph that is run once follow each other: kept as a blob that only coordinators read. */
const RunPlan = z.strictObject({
  split: SplitManifest,
  inputs: BlobRef,
  outputs: z.array(z.string()).max(4096),
  needs: z.strictObject({ backends: z.array(BackendName).max(16).optional(), category: z.string().max(64).optional() }),
});
type RunPlan = z.infer<typeof RunPlan>;

const bytesOf = (value: unknown) => new TextEncoder().encode(canonicalJson(value));
const refOf = (bytes: Uint8Array): BlobRef => ({ digest: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.byteLength });

/** The plan of such a job, and what its first stage takes. @throws INPUT_MISSING, USAGE */
export function runPlan(
  request: Extract<JobRequest, { kind: 'onnx.run' }>,
  split: SplitManifest,
  needs: RunPlan['needs'],
): { plan: RunPlan; inputs: Uint8Array } {
  if (request.further !== undefined && request.further.length > 0) {
    throw new HearthlendError('USAGE', { detail: 'a batch of several shards has no stages' });
  }
  const plan: RunPlan = { split, inputs: refOf(request.inputs), outputs: request.outputs, needs };
  return { plan, inputs: stageInputs(plan, 0, decodeSafetensors(request.inputs)) };
}

function stageInputs({ split }: RunPlan, index: number, made: Tensors): Uint8Array {
  const stage = split.stages[index];
  const taken = (stage?.inputs ?? []).map(({ name }) => {
    const tensor = made.get(name);
    if (tensor === undefined) throw new HearthlendError('INPUT_MISSING', { name });
    return [name, tensor] as const;
  });
  return encodeSafetensors(new Map(taken));
}

/** What a stage gives, and what of that is an output of the whole model that was asked for. */
export function givenByStage({ split, outputs }: Pick<RunPlan, 'split' | 'outputs'>, index: number): { all: string[]; job: string[] } {
  const given = split.stages[index]?.outputs ?? [];
  const wanted = (name: string) => outputs.length === 0 || outputs.includes(name);
  // A cache that nobody keeps is an output like any other.
  const job = given.filter(({ to, name }) => to !== 'stage' && wanted(name)).map(({ name }) => name);
  const all = given.filter(({ to, name }) => to === 'stage' || to === 'both' || job.includes(name)).map(({ name }) => name);
  return { all, job };
}

/** Makes the shard of a graph's next stage out of what the stages before it gave; nothing where there is none, or it is there. */
export async function advance(context: Context, shard: RunShard): Promise<void> {
  const { store, blobs, holding, clock } = context;
  const { stage } = shard;
  if (stage === undefined || stage.index + 1 >= stage.of) return;
  const plan = RunPlan.parse(JSON.parse(new TextDecoder().decode(await blobs.read(stage.plan))));
  const made: Tensors = new Map(decodeSafetensors(await blobs.read(plan.inputs.digest)));
  const before = await store.shardsOf(shard.jobId);
  for (const { shard: each } of before) {
    const submission = (await store.attemptsOf(each.id)).find(({ state }) => state === 'accepted')?.submission;
    if (submission == null) return;
    for (const [name, tensor] of decodeSafetensors(await blobs.read(submission.commitment))) made.set(name, tensor);
  }
  const index = stage.index + 1;
  const next = plan.split.stages[index];
  if (next === undefined || before.length !== index) return;
  const inputs = stageInputs(plan, index, made);
  const { all, job } = givenByStage(plan, index);
  const ref = refOf(inputs);
  await holding.hold(holderOf.job(shard.jobId), [ref.digest]);
  await blobs.putBytes(inputs);
  const record: RunShard = {
    ...shard,
    ...{ id: stageShardId(shard.jobId, index, stage.of), model: refOf(bytesOf(next.manifest)), inputs: ref, outputs: all },
    stage: { ...stage, index, gives: job },
  };
  const modelBytes = next.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const { backends, category } = plan.needs;
  const needs = { modelBytes, ...(backends === undefined ? {} : { backends }), ...(category === undefined ? {} : { category }) };
  const added = await store.addStage({ shard: record, promptTokens: 0, state: 'queued', needs, attempt: 0, createdAt: clock() });
  if (added) context.emit({ type: 'work' });
}

/** Ids that sort in the order of the stages. */
function stageShardId(jobId: string, index: number, of: number): string {
  return `${jobId}.${String(index + 1).padStart(String(of).length, '0')}`;
}
