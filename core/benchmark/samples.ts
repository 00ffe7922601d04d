import type { Figure, FigureName } from '../contract/benchmark.ts';

/** The middle of the values; of an even number the mean of both. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** How far the values lie from their median: the median of the distances, as a share of it. One that lies far out changes nothing. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  if (middle === 0) return 0;
  return median(values.map((value) => Math.abs(value - middle))) / Math.abs(middle);
}

export function figureOf(name: FigureName, samples: readonly number[]): Figure {
  return { name, median: median(samples), spread: spread(samples), samples: samples.length };
}

export interface Repeats {
  warmUps: number;
  least: number;
  most: number;
  /** Once so much is spent, no more than `least` samples are taken. */
  budgetMs: number;
}

/** Takes samples one after the other: first some to warm up, which don't count, then as many as fit the budget. */
export async function repeat(
  take: () => Promise<number>,
  { warmUps, least, most, budgetMs }: Repeats,
  now = () => performance.now(),
): Promise<number[]> {
  const startedAt = now();
  for (let warmUp = 0; warmUp < warmUps; warmUp += 1) await take();
  const samples: number[] = [];
  while (samples.length < least || (samples.length < most && now() - startedAt < budgetMs)) samples.push(await take());
  return samples;
}
