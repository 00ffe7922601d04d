import { argmax, drawAt, type Sampling, sampleToken } from './sampler.ts';

/** How far another machine's sums may move what a token is drawn by. */
export interface DrawTolerance {
  /** An interval's edges, in probability. */
  draw: number;
  /** One logit. */
  logit: number;
}

/** How claimed tokens are looked at. `stepwise`: one a pass, as they are made, for who wants to know what looking at many at once changes. */
export interface Forcing extends DrawTolerance {
  stepwise?: boolean;
}

/** How a claimed token stands to the draw that these logits give. */
export interface ForcedDraw {
  /** The token that they give here. */
  drawn: number;
  /**
   * By how much the claimed token's interval has to be widened for the draw to fall into it (probability); for greedy, how far its logit lies below the
   * largest one. 0 where it is what is drawn; +∞ where no widening helps: it was cut off by top-k or top-p, ruled out, or is in no vocabulary.
   */
  shift: number;
  /** The edges of the claimed token's interval (probability), as widened; for greedy the largest other logit, and its own. NaN where it has none. */
  low: number;
  high: number;
  /** The claimed token's logit against the largest. */
  logit: number;
}

/** Whether a claimed token may be what an honest machine drew. */
export function isTolerated(shift: number, sampling: Sampling, tolerance: DrawTolerance): boolean {
  return shift <= (sampling.method === 'greedy' ? tolerance.logit : tolerance.draw);
}

/**
 * Checks a claimed token against the logits that a pass over the tokens before it gave. Where top-k or top-p cut off between tokens that lie closer
 * together than `tolerance`, either may have been kept: the interval then reaches as far as it does under any of these choices. Pure.
 */
export function forcedDraw(
  logits: ArrayLike<number>,
  sampling: Sampling,
  position: number,
  token: number,
  tolerance: DrawTolerance,
): ForcedDraw {
  const drawn = sampleToken(logits, sampling, position).token;
  const none = { drawn, shift: token === drawn ? 0 : Number.POSITIVE_INFINITY, low: Number.NaN, high: Number.NaN };
  const claimed = logits[token];
  if (claimed === undefined || Number.isNaN(claimed)) return { ...none, logit: Number.NaN };
  const top = logits[argmax(logits)] as number;
  const logit = claimed - top;
  if (sampling.method === 'greedy')
    return { drawn, shift: token === drawn ? 0 : -logit, low: largestBut(logits, token), high: claimed, logit };
  const { reach, weights } = reachOf(logits, top, sampling, tolerance);
  if (reach[token] === OUT || !((weights[token] as number) > 0)) return { ...none, logit };
  const { low, high } = intervalOf(weights, reach, token);
  const at = drawAt(sampling.seed, position);
  return { drawn, shift: token === drawn ? 0 : Math.max(0, low - at, at - high), low, high, logit };
}

function largestBut(logits: ArrayLike<number>, token: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id += 1) if (id !== token && (logits[id] as number) > largest) largest = logits[id] as number;
  return largest;
}

const OUT = 0;
const MAYBE = 1;
const IN = 2;

type Sampled = Extract<Sampling, { method: 'sample' }>;

/** Weight of each id, and whether top-k and top-p keep it: surely, perhaps, or not. */
function reachOf(logits: ArrayLike<number>, top: number, { temperature, topK, topP }: Sampled, tolerance: DrawTolerance) {
  const count = logits.length;
  const weights = new Float64Array(count);
  for (let id = 0; id < count; id += 1) {
    const weight = Math.exp(((logits[id] as number) - top) / temperature);
    weights[id] = Number.isNaN(weight) ? 0 : weight;
  }
  const reach = new Uint8Array(count).fill(IN);
  if ((topK === 0 || topK >= count) && topP === 1) return { reach, weights };
  // Ranks that weigh nothing are kept or not without a difference.
  const ranked = Array.from(weights.keys())
    .filter((id) => (weights[id] as number) > 0)
    .sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
  const logitAt = (rank: number) => logits[ranked[rank] as number] as number;
  const apart = 2 * tolerance.logit;
  reach.fill(OUT);

  let surely = ranked.length;
  let perhaps = ranked.length;
  const narrow = (first: number, last: number) => {
    // `first`: the first rank that may be cut off; `last`: the last one that may be kept.
    let from = first;
    while (from > 0 && logitAt(from - 1) <= logitAt(first) + apart) from -= 1;
    let to = last;
    while (to + 1 < ranked.length && logitAt(to + 1) >= logitAt(last) - apart) to += 1;
    surely = Math.min(surely, from);
    perhaps = Math.min(perhaps, to + 1);
  };
  const kept = topK === 0 ? ranked.length : Math.min(topK, ranked.length);
  if (kept < ranked.length) narrow(kept, kept - 1);
  if (topP < 1) {
    let total = 0;
    for (let rank = 0; rank < kept; rank += 1) total += weights[ranked[rank] as number] as number;
    const slack = 2 * tolerance.draw;
    let before = 0;
    let first = kept;
    let last = kept - 1;
    for (let rank = 0; rank < kept; rank += 1) {
      // A rank is kept where what comes before it is not yet enough.
      if (before >= (topP - slack) * total && first === kept) first = rank;
      if (before >= (topP + slack) * total) {
        last = rank - 1;
        break;
      }
      before += weights[ranked[rank] as number] as number;
    }
    if (first < ranked.length) narrow(Math.max(first, 1), Math.max(last, 0));
  }
  for (let rank = 0; rank < perhaps; rank += 1) reach[ranked[rank] as number] = rank < surely ? IN : MAYBE;
  return { reach, weights };
}

/** The furthest edges of a kept token's interval under any choice of those that are perhaps kept. */
function intervalOf(weights: Float64Array, reach: Uint8Array, token: number): { low: number; high: number } {
  let before = 0;
  let maybeBefore = 0;
  let after = 0;
  let maybeAfter = 0;
  for (let id = 0; id < weights.length; id += 1) {
    if (id === token || reach[id] === OUT) continue;
    const weight = weights[id] as number;
    if (id < token) {
      if (reach[id] === IN) before += weight;
      else maybeBefore += weight;
    } else if (reach[id] === IN) after += weight;
    else maybeAfter += weight;
  }
  const own = weights[token] as number;
  // What is kept before it moves both edges up, what is kept after it moves both down.
  return {
    low: before / (before + own + after + maybeAfter),
    high: (before + maybeBefore + own) / (before + maybeBefore + own + after),
  };
}
