import { createHash } from 'node:crypto';
import type { Sampling } from '../../core/contract/sampler.ts';

/** Below it a draw is the likeliest token in all but name. */
const LEAST_TEMPERATURE = 0.01;

/**
 * How the tokens of one answer are chosen. A request's seed gives each of its answers one of its own, the same each time.
 * @param randomSeed 16 hex digits, for a request without one
 */
export function samplingOf(
  asked: { temperature?: number | null | undefined; top_p?: number | null | undefined; seed?: number | null | undefined },
  index: number,
  randomSeed: () => string,
): Sampling {
  const temperature = asked.temperature ?? 1;
  const topP = asked.top_p ?? 1;
  if (temperature < LEAST_TEMPERATURE || topP === 0) return { method: 'greedy' };
  const seed = asked.seed == null ? randomSeed() : createHash('sha256').update(`seed ${asked.seed} ${index}`).digest('hex').slice(0, 16);
  return { method: 'sample', seed, temperature, topK: 0, topP };
}
