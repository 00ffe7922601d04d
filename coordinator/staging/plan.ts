import { z } from 'zod';
import { HearthlendError } from '../../core/contract/errors.ts';
import { Sampling } from '../../core/contract/sampler.ts';
import { JobId } from '../../core/contract/shard.ts';
import { SplitManifest, type Stage, type StageValue, sharedInput } from '../../core/contract/stages.ts';
import { TENSOR_TYPES } from '../../core/contract/tensor.ts';
import { INLINE_BYTES } from '../../core/contract/worker-calls.ts';

/** What a coordinator drives a staged generation by: kept as a blob that only coordinators read. */
export const GenerationPlan = z.strictObject({
  /** Names the plan of one job apart from that of another with the same prompt. */
  jobId: JobId,
  split: SplitManifest,
  prompt: z.array(z.int().min(0)).min(1).max(16_777_216),
  maxNewTokens: z.int().min(1).max(1_000_000),
  stopTokens: z.array(z.int().min(0)).max(64),
  sampling: Sampling,
  /** Whether a token may be chosen by logits of which one is +∞ or no number. */
  nonFinite: z.enum(['allow', 'reject']),
});
export type GenerationPlan = z.infer<typeof GenerationPlan>;

/** What one step may carry, beside the names of its tensors: it fits one message of every transport. */
const STEP_BYTES = INLINE_BYTES - 64 * 1024;
/** Inputs of all steps of one generation, which are kept so that a lost stage can be replayed. */
const HISTORY_BYTES = 512 * 2 ** 20;

/** What a stage is handed in each step: what other stages made, and tokens where it takes them. */
export function handedTo(stage: Stage): Stage['inputs'] {
  return stage.inputs.filter(({ name, from }) => from !== 'cache' && !sharedInput(name));
}

/** What a stage gives in each step. */
export function givenBy(stage: Stage): Stage['outputs'] {
  return stage.outputs.filter(({ to }) => to !== 'cache');
}

/** The axis along which a value grows with the tokens of a step; null where that is not one alone, behind axes of 1. */
export function tokenAxis({ shape }: StageValue): number | null {
  const axes = shape.flatMap((size, axis) => (typeof size === 'number' ? [] : [axis]));
  const [axis] = axes;
  // The names of a graph's own inputs say which of two is the batch, which is 1 here.
  const only = axes.length === 2 && axes[0] === 0 ? axes[1] : axes.length === 1 ? axis : undefined;
  return only !== undefined && shape.slice(0, only).every((size) => size === 1 || typeof size !== 'number') ? only : null;
}

function bytesOf(value: StageValue): number {
  return value.shape.reduce<number>((bytes, size) => bytes * (typeof size === 'number' ? size : 1), TENSOR_TYPES[value.type].bytes);
}

/**
 * How many tokens go through the stages in one step, so that what they hand on fits one message.
 * @throws MODEL_UNCUTTABLE where one token doesn't, or all of a text's would not fit in memory
 */
export function tokensOfStep({ split }: GenerationPlan): number {
  const refuse = (node: string, detail: string) => new HearthlendError('MODEL_UNCUTTABLE', { stages: split.stages.length, node, detail });
  let [widest, sum] = [8, 0];
  for (const stage of split.stages) {
    const handed = givenBy(stage).filter(({ to }) => to !== 'job');
    const bytes = handed.reduce((total, value) => total + bytesOf(value), 0);
    if (bytes > STEP_BYTES) throw refuse(handed[0]?.name ?? '', `a token takes ${bytes} bytes where a message carries ${STEP_BYTES}`);
    widest = Math.max(widest, bytes);
    sum += bytes;
  }
  const all = sum * (split.decoder?.maxPositions ?? 1);
  if (all > HISTORY_BYTES) throw refuse('–', `what its stages hand on for a whole text takes ${all} bytes, more than ${HISTORY_BYTES}`);
  return Math.floor(STEP_BYTES / widest);
}
