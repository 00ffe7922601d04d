import { z } from 'zod';

/** How the next token is chosen. `seed` is the coordinator's: 64 bits as 16 hex digits. topK 0 and topP 1 leave everything in. */
export const Sampling = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('greedy') }),
  z.strictObject({
    method: z.literal('sample'),
    seed: z.string().regex(/^[0-9a-f]{16}$/),
    temperature: z.number().min(0.01).max(10),
    topK: z.int().min(0).max(1_000_000).default(0),
    topP: z.number().gt(0).max(1).default(1),
  }),
]);
export type Sampling = z.infer<typeof Sampling>;

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

function multiplyHigh(a: number, b: number): number {
  return Number((BigInt(a) * BigInt(b)) >> 32n);
}

/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC11).
 * @param counter four unsigned 32-bit words @param key two unsigned 32-bit words
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round += 1) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** The draw for one position of a generation: uniform in [0, 1) with 53 bits. The same for the same seed and position, everywhere. */
export function drawAt(seed: string, position: number): number {
  const key: [number, number] = [Number.parseInt(seed.slice(8), 16), Number.parseInt(seed.slice(0, 8), 16)];
  const [a, b] = philox4x32([position >>> 0, Math.floor(position / 2 ** 32) >>> 0, 0, 0], key);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}

/** The largest logit's id; ties go to the lowest id. NaN never wins; if all are NaN the answer is 0. */
export function argmax(logits: ArrayLike<number>): number {
  let best = 0;
  let bestLogit = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id += 1) {
    const logit = logits[id] as number;
    if (logit > bestLogit) {
      best = id;
      bestLogit = logit;
    }
  }
  return best;
}

/** The token a draw falls on, and how close the draw came to its interval's edges (a near-tie where that is tiny). */
export interface Drawn {
  token: number;
  /** Distance of the draw to the nearer edge of the token's interval, in probability; for greedy the gap between the two largest logits. */
  margin: number;
}

/**
 * Chooses the token at `position` (0 for the first generated one). Pure: float64 softmax over the kept ids in ascending order of id; top-k and
 * top-p keep the largest, ties by the lowest id.
 */
export function sampleToken(logits: ArrayLike<number>, sampling: Sampling, position: number): Drawn {
  const first = argmax(logits);
  const top = logits[first] as number;
  if (sampling.method === 'greedy') {
    let second = Number.NEGATIVE_INFINITY;
    for (let id = 0; id < logits.length; id += 1) if (id !== first && (logits[id] as number) > second) second = logits[id] as number;
    return { token: first, margin: top - second };
  }
  const { temperature, topK, topP } = sampling;
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id += 1) {
    const weight = Math.exp(((logits[id] as number) - top) / temperature);
    weights[id] = Number.isNaN(weight) ? 0 : weight;
  }
  const keep = topK === 0 && topP === 1 ? undefined : keptIds(weights, topK, topP);
  let total = 0;
  for (let id = 0; id < weights.length; id += 1) {
    if (keep !== undefined && !keep.has(id)) weights[id] = 0;
    total += weights[id] as number;
  }
  if (!(total > 0)) return { token: first, margin: 0 };
  const target = drawAt(sampling.seed, position) * total;
  let cumulative = 0;
  let chosen = first;
  for (let id = 0; id < weights.length; id += 1) {
    const weight = weights[id] as number;
    if (weight === 0) continue;
    chosen = id;
    if (target < cumulative + weight) return { token: id, margin: Math.min(target - cumulative, cumulative + weight - target) / total };
    cumulative += weight;
  }
  return { token: chosen, margin: 0 };
}

function keptIds(weights: Float64Array, topK: number, topP: number): Set<number> {
  const ids = Array.from(weights.keys()).sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
  const count = topK === 0 ? ids.length : Math.min(topK, ids.length);
  let total = 0;
  for (let rank = 0; rank < count; rank += 1) total += weights[ids[rank] as number] as number;
  const kept = new Set<number>();
  let cumulative = 0;
  for (let rank = 0; rank < count; rank += 1) {
    const id = ids[rank] as number;
    kept.add(id);
    cumulative += weights[id] as number;
    if (cumulative >= topP * total) break;
  }
  return kept;
}
