import { HearthlendError } from '../../core/contract/errors.ts';
import { isTolerated } from '../../core/contract/forced-draw.ts';
import type { GenerateShard } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import { floatsOf, integersOf } from './elements.ts';
import { type Thresholds, tooManyNearTies } from './thresholds.ts';

/** How a generation stands to one pass of the reference over its tokens. `undecided`: so many near-ties that chance can't have made them. */
export type ForcedVerdict = { type: 'agrees' } | { type: 'undecided' | 'differs'; detail: string };

/**
 * Judges claimed tokens by what a pass over them drew. Pure.
 * @param forced what the reference gave: `drawn` and `shift`, by token @throws TENSOR_INVALID where it is something else
 */
export function judgeForced(shard: GenerateShard, claimed: Tensors, forced: Tensors, thresholds: Thresholds): ForcedVerdict {
  const tokens = integersOf(tensorOf(claimed, 'tokens'));
  const drawn = integersOf(tensorOf(forced, 'drawn'));
  const shift = floatsOf(tensorOf(forced, 'shift'));
  if (drawn.length !== tokens.length || shift.length !== tokens.length) {
    throw new HearthlendError('TENSOR_INVALID', { name: 'drawn', detail: `${drawn.length} draws for ${tokens.length} tokens` });
  }
  let nearTies = 0;
  for (let index = 0; index < tokens.length; index += 1) {
    if (drawn[index] === tokens[index]) continue;
    nearTies += 1;
    const off = shift[index] as number;
    if (isTolerated(off, shard.sampling, thresholds)) continue;
    const greedy = shard.sampling.method === 'greedy';
    const allowed = greedy ? thresholds.logit : thresholds.draw;
    const far = Number.isFinite(off)
      ? `${off.toExponential(1)} ${greedy ? 'below the largest logit' : 'of probability away'}`
      : 'ruled out';
    return {
      type: 'differs',
      detail: `token ${index} is ${tokens[index]} where ${drawn[index]} is drawn; it is ${far}, ${allowed} is allowed`,
    };
  }
  if (!tooManyNearTies(nearTies, tokens.length, thresholds)) return { type: 'agrees' };
  return { type: 'undecided', detail: `${nearTies} of ${tokens.length} tokens are near-ties` };
}

function tensorOf(tensors: Tensors, name: string) {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new HearthlendError('TENSOR_INVALID', { name, detail: 'it is missing' });
  return tensor;
}
