/** A place between two nodes at which a graph may be cut. */
export interface CutPoint {
  /** Cost of everything before it. */
  before: number;
  /** Tensors that go over it. */
  width: number;
}

/** A cut may be wider than the narrowest where that makes the largest stage this much smaller. */
const WORTH_WIDENING = 1.25;
/** Points that are weighed against each other; more are thinned out evenly. */
const MAX_POINTS = 4096;

/**
 * The cuts that make the largest stage small, through places as narrow as that allows. Pure.
 * @param points in the graph's order @param total cost of the whole graph
 * @returns indices into `points`, one fewer than `stages`; null where there are too few places with something between them
 */
export function chooseCuts(points: readonly CutPoint[], total: number, stages: number): number[] | null {
  const widths = [...new Set(points.map(({ width }) => width))].sort((a, b) => a - b);
  const choices = widths.map((most) => bestCuts(points, total, stages, most)).filter((choice) => choice !== null);
  const best = Math.min(...choices.map(({ largest }) => largest));
  return choices.find(({ largest }) => largest <= WORTH_WIDENING * best)?.cuts ?? null;
}

interface Choice {
  largest: number;
  cuts: number[];
}

/** Among the points of at most this width: the least possible largest stage, by dynamic programming over stages and points. */
function bestCuts(points: readonly CutPoint[], total: number, stages: number, width: number): Choice | null {
  const allowed = thinned(distinct(points, total, width));
  const ends = [...allowed.map((at) => (points[at] as CutPoint).before), total];
  // With as many stages as were placed so far, the last of which ends at each end: its largest stage. Too few ends before it: infinite.
  let largest = [...ends];
  const from: number[][] = [];
  for (let stage = 1; stage < stages; stage += 1) {
    const previous = largest;
    let low = stage - 1;
    const chosen: number[] = [];
    largest = ends.map((end, at) => {
      const cost = (cut: number) => (cut < at ? Math.max(previous[cut] as number, end - (ends[cut] as number)) : Number.POSITIVE_INFINITY);
      // A later cut makes the stages before it larger and the one after it smaller: the best lies where they meet.
      while (low + 1 < at && (previous[low + 1] as number) <= end - (ends[low + 1] as number)) low += 1;
      const cut = cost(low + 1) < cost(low) ? low + 1 : low;
      chosen.push(cut);
      return cost(cut);
    });
    from.push(chosen);
  }
  const result = largest.at(-1) as number;
  if (!Number.isFinite(result)) return null;
  const cuts: number[] = [];
  let at = ends.length - 1;
  for (const chosen of from.toReversed()) {
    at = chosen[at] as number;
    cuts.unshift(allowed[at] as number);
  }
  return { largest: result, cuts };
}

/** Points with something before, between and after them: where several are as good for the balance, the narrowest, and of those the last. */
function distinct(points: readonly CutPoint[], total: number, width: number): number[] {
  const kept = new Map<number, number>();
  points.forEach((point, at) => {
    if (point.width > width || point.before <= 0 || point.before >= total) return;
    const other = kept.get(point.before);
    if (other === undefined || point.width <= (points[other] as CutPoint).width) kept.set(point.before, at);
  });
  return [...kept.values()];
}

function thinned(points: number[]): number[] {
  if (points.length <= MAX_POINTS) return points;
  return Array.from({ length: MAX_POINTS }, (_, index) => points[Math.floor((index * points.length) / MAX_POINTS)] as number);
}
