import type { BackendName } from '../../core/contract/backends.ts';
import type { LocalModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { SessionOptions, Shard } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import { compareOutputs } from './comparison.ts';
import { floatsOf, isFloat } from './elements.ts';
import { type Calibration, startThresholds, type Thresholds } from './thresholds.ts';

/** A shard with real inputs. */
export interface CalibrationTask {
  shard: Shard;
  inputs: Uint8Array;
}

/** Something that computes honestly on one backend. */
export interface HonestWorker {
  backend: BackendName;
  worker: ReferenceWorker;
}

/** The ways in which one backend is made to order its sums differently. */
export const CALIBRATION_SESSIONS: readonly SessionOptions[] = [1, 2, 3, 4].flatMap((intraOpThreads) =>
  (['all', 'basic', 'disabled'] as const).map((graphOptimization) => ({ intraOpThreads, graphOptimization })),
);

/** What two honest computations differed by, row by row and token by token. */
interface Differences {
  distances: number[];
  /** How far a draw's edges, and a token's logit, moved. */
  draws: number[];
  logits: number[];
}

/** Thresholds are this many times the worst that was measured: inputs that come later may be worse than those that were tried. */
const MARGIN = 10;
/** What float32 can't do better than, so that a model which happened to give the same bits everywhere still tolerates a last one. */
const LEAST = { distance: 1e-6, draw: 1e-6, logit: 1e-5 } as const;

/** Thresholds from what honest computations differed by. Where nothing was measured of a kind, the start value stays. Pure. */
export function thresholdsFrom(differences: Differences, start: Thresholds, margin = MARGIN): Thresholds {
  const bound = (values: readonly number[], least: number, otherwise: number) =>
    values.length === 0 ? otherwise : Math.max(least, margin * largest(values));
  const draw = bound(differences.draws, LEAST.draw, start.draw);
  return {
    distance: bound(differences.distances, LEAST.distance, start.distance),
    draw,
    logit: bound(differences.logits, LEAST.logit, start.logit),
    // A draw lies within its bound of one of some ten edges that matter with about this probability.
    nearTies: Math.min(0.5, 20 * draw),
  };
}

/**
 * Runs real shards of one model on a backend under every order of its sums, and on the reference, and gives the thresholds that hold for the two.
 * @param at ms since 1970 @throws what computing throws
 */
export async function calibrate(
  options: {
    model: LocalModel;
    tasks: readonly CalibrationTask[];
    claimed: HonestWorker;
    reference: ReferenceWorker;
    sessions?: readonly SessionOptions[];
    margin?: number;
  },
  coarse: boolean,
  at: number,
): Promise<Calibration> {
  const { tasks, claimed } = options;
  const [first] = tasks;
  if (first === undefined) throw new RangeError('a calibration needs real inputs');
  const all: Differences = { distances: [], draws: [], logits: [] };
  // A GPU has no threads to vary.
  const sessions = options.sessions ?? (claimed.backend === 'cpu' ? CALIBRATION_SESSIONS : CALIBRATION_SESSIONS.slice(0, 1));
  for (const task of tasks) for (const session of sessions) add(all, await differencesOf(options, task, session));
  const start = startThresholds({ claimed: claimed.backend, reference: 'cpu' }, coarse);
  return {
    ...{ model: first.shard.model.digest, claimed: claimed.backend, reference: 'cpu' },
    ...thresholdsFrom(all, start, options.margin),
    comparisons: all.distances.length + all.draws.length,
    worst: Math.max(largest(all.distances), largest(all.draws)),
    at,
  };
}

async function differencesOf(
  { model, claimed, reference }: { model: LocalModel; claimed: HonestWorker; reference: ReferenceWorker },
  { shard, inputs }: CalibrationTask,
  session: SessionOptions,
): Promise<Differences> {
  const local = { digest: shard.model.digest, local: model };
  const other = { model: local, shard: { ...shard, session }, inputs };
  const own = { model: local, shard: { ...shard, session: CALIBRATION_SESSIONS[0] as SessionOptions }, inputs };
  if (shard.kind === 'onnx.run') {
    const [theirs, ours] = [decodeSafetensors(await claimed.worker.compute(other)), decodeSafetensors(await reference.compute(own))];
    return { distances: rowDistances(theirs, ours, decodeSafetensors(inputs)), draws: [], logits: [] };
  }
  const made = decodeSafetensors(await claimed.worker.compute(other));
  const text = encodeSafetensors(decodeSafetensors(inputs).set('tokens', made.get('tokens') as NonNullable<ReturnType<typeof made.get>>));
  // Exactly as it is drawn on each side: what is widened would hide what moves.
  const forced = { draw: 0, logit: 0 };
  // As tokens are made: some kernels compute many at once in another way than one.
  const theirs = decodeSafetensors(await claimed.worker.compute({ ...other, inputs: text, forced: { ...forced, stepwise: true } }));
  const ours = decodeSafetensors(await reference.compute({ ...own, inputs: text, forced }));
  const greedy = shard.sampling.method === 'greedy';
  const edges = movedBetween(theirs, ours, ['low', 'high']);
  const logits = movedBetween(theirs, ours, ['logit']);
  return greedy
    ? { distances: [], draws: [], logits: [...logits, ...edges] }
    : { distances: [], draws: withoutJumps(edges, logits), logits };
}

/** The distance of two results as audits measure it, once for each of their rows. */
export function rowDistances(theirs: Tensors, ours: Tensors, inputs: Tensors): number[] {
  const { distance } = compareOutputs(theirs, ours, { tolerance: () => Number.POSITIVE_INFINITY, inputs });
  const rows = [...ours.values()]
    .filter(({ type }) => isFloat(type))
    .reduce((sum, { shape }) => sum + shape.slice(0, -1).reduce((product, size) => product * size, 1), 0);
  return Array.from({ length: rows }, () => distance);
}

/** How far each token's values moved, the furthest of them. */
function movedBetween(theirs: Tensors, ours: Tensors, names: readonly string[]): number[] {
  const moved: number[] = [];
  for (const name of names) {
    const [one, other] = [theirs.get(name), ours.get(name)];
    if (one === undefined || other === undefined) continue;
    const [a, b] = [floatsOf(one), floatsOf(other)];
    a.forEach((value, at) => {
      const by = Math.abs(value - (b[at] as number));
      // A token that was cut off on one side has no edges there.
      if (Number.isFinite(by)) moved[at] = Math.max(moved[at] ?? 0, by);
    });
  }
  return moved.filter((by) => by !== undefined);
}

/** A jump of an edge is no error of sums but another choice of what top-k or top-p keeps, which audits allow for by themselves. */
const JUMP = 10;

function withoutJumps(edges: readonly number[], logits: readonly number[]): number[] {
  const most = JUMP * Math.max(largest(logits), LEAST.logit);
  return edges.filter((by) => by <= most);
}

function add(all: Differences, more: Differences): void {
  all.distances.push(...more.distances);
  all.draws.push(...more.draws);
  all.logits.push(...more.logits);
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
