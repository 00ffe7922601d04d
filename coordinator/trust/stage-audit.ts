import { forcedDraw, isTolerated } from '../../core/contract/forced-draw.ts';
import type { Sampling } from '../../core/contract/sampler.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import type { Step } from '../staging/steps.ts';
import { compareOutputs } from './comparison.ts';
import { floatsOf } from './elements.ts';
import type { Piece } from './stage-passes.ts';
import { type Thresholds, tooManyNearTies } from './thresholds.ts';

/** What a stage made of the steps that it was handed, as the coordinator that drives the generation has it. */
export interface StageRecord {
  steps: readonly Step[];
  /** By step, the attempt that made its outputs. */
  makers: readonly number[];
  /** Names of what it hands on to other stages. */
  handsOn: readonly string[];
  /** The generation's tokens, where this stage gives what they are drawn by; and what the first of them follows: the prompt's steps. */
  drawn: { tokens: readonly number[]; promptSteps: number; sampling: Sampling } | null;
}

/** The first step at which a stage gave something else than its model does, in words; null where there is none. `undecided`: chance can't have made so many near-ties. */
export type StageFault = { step: number; detail: string; computed: Tensors } | 'undecided' | null;

/** Holds what a stage handed on against what the reference computed of the same inputs, by the change that the stage makes; and its tokens by the draw. Pure. */
export async function faultOfStage(
  { steps, handsOn, drawn }: StageRecord,
  passes: AsyncIterable<Piece>,
  thresholds: Thresholds,
): Promise<StageFault> {
  let nearTies = 0;
  for await (const { from, to, inputs, computed } of passes) {
    let token = 0;
    for (let at = from; at < to; at += 1) {
      const step = steps[at] as Step;
      const count = step.ids.length;
      const total = steps.slice(from, to).reduce((sum, { ids }) => sum + ids.length, 0);
      const part = (tensor: Tensor) => rowsOf(tensor, total, token, count);
      for (const name of handsOn) {
        const [claimed, right] = [step.values.get(name), computed.get(name)];
        // Nobody is blamed for what the reference does not give.
        if (claimed === undefined || right === undefined || !sameForm(claimed, part(right))) return 'undecided';
        const given: Tensors = new Map([...inputs].map(([input, tensor]) => [input, part(tensor)]));
        const { detail } = compareOutputs(new Map([[name, claimed]]), new Map([[name, part(right)]]), {
          tolerance: () => thresholds.distance,
          inputs: given,
        });
        if (detail !== undefined) return { step: at, detail: `step ${at}: ${detail}`, computed: new Map([[name, part(right)]]) };
      }
      token += count;
      const index = drawn === null ? -1 : at + 1 - drawn.promptSteps;
      if (drawn === null || index < 0 || index >= drawn.tokens.length) continue;
      const claimed = drawn.tokens[index] as number;
      const all = computed.get('logits');
      const logits = all === undefined ? null : rowAt(all, token - 1, total);
      if (logits === null) return 'undecided';
      const draw = forcedDraw(logits, drawn.sampling, index, claimed, thresholds);
      if (draw.drawn === claimed) continue;
      nearTies += 1;
      if (!isTolerated(draw.shift, drawn.sampling, thresholds)) {
        const detail = `token ${index} is ${claimed} where ${draw.drawn} is drawn, ${draw.shift.toExponential(1)} away`;
        const row: Tensor = { type: 'float64', shape: [logits.length], data: new Uint8Array(Float64Array.from(logits).buffer) };
        return { step: at, detail, computed: new Map([['logits', row]]) };
      }
    }
  }
  return drawn !== null && tooManyNearTies(nearTies, drawn.tokens.length, thresholds) ? 'undecided' : null;
}

const sameForm = (one: Tensor, other: Tensor) => one.type === other.type && one.shape.join() === other.shape.join();

/** `count` tokens of a pass over `total`, from number `from` on: along the axis that has as many; the whole of what has none. */
function rowsOf(tensor: Tensor, total: number, from: number, count: number): Tensor {
  const axis = tensor.shape.findIndex((size, at) => at > 0 && size === total);
  if (axis === -1 || count === total) return tensor;
  if (tensor.shape.slice(0, axis).some((size) => size !== 1)) return tensor;
  const bytes = tensor.data.byteLength / total;
  const shape = tensor.shape.with(axis, count);
  return { type: tensor.type, shape, data: tensor.data.subarray(from * bytes, (from + count) * bytes) };
}

/** The logits after one token of a pass; null where the stage gives none for it. */
function rowAt(logits: Tensor, token: number, total: number): Float64Array | null {
  const rows = logits.shape.at(-2) ?? 1;
  const size = logits.data.byteLength / rows;
  const at = token - (total - rows);
  if (at < 0) return null;
  return floatsOf({ ...logits, shape: [1, logits.shape.at(-1) as number], data: logits.data.subarray(at * size, (at + 1) * size) });
}
