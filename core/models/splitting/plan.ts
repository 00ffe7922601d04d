import { HearthlendError } from '../../contract/errors.ts';
import { MAX_CROSSING, MAX_STAGES } from '../../contract/stages.ts';
import { type CutPoint, chooseCuts } from './balance.ts';
import type { SplitGraph } from './graph.ts';
import { cacheLayer, lightNodes, looksAtShape, makesUncarried } from './kinds.ts';
import { type Ordered, orderNodes } from './order.ts';

/** One stage of a model: which of its nodes and constants, and what goes in and out. */
export interface StagePlan {
  /** Indices of the graph's nodes, in its order; light ones may be in several stages. */
  nodes: number[];
  constants: string[];
  /** Inputs that a node takes under another name here: a stage looks at the shape of a cache of its own. */
  renamed: Map<string, string>;
  inputs: { name: string; from: 'job' | 'cache' | number }[];
  outputs: { name: string; to: 'job' | 'cache' | 'stage' | 'both' }[];
  layers: number[];
  weightBytes: number;
}

/** Reading a row of a table costs next to nothing, however large the table. */
const LOOK_UPS = new Set(['Gather', 'GatherBlockQuantized', 'EmbedLayerNormalization']);

/**
 * Cuts a graph into stages. Light nodes go wherever they are needed; the others are cut at the places where the fewest values cross, a decoder only
 * between its layers. A stage's cost is half its weights' share of memory, half its share of the weights that a token is multiplied by.
 * Pure. @throws MODEL_UNCUTTABLE, MODEL_INVALID
 */
export function planStages(graph: SplitGraph, stages: number): StagePlan[] {
  if (stages > MAX_STAGES) throw uncuttable(stages, '–', `at most ${MAX_STAGES} stages are possible`);
  for (const name of graph.inputs.keys()) {
    const cache = cacheLayer(name);
    if (cache === undefined || graph.outputs.has(`present.${cache.layer}.${cache.part}`)) continue;
    throw uncuttable(stages, name, `there is no output present.${cache.layer}.${cache.part} for this input`);
  }
  const ordered = orderNodes(graph, stages);
  const light = lightNodes(graph);
  const heavy = graph.nodes.flatMap((_, index) => (ordered.needed[index] && !light[index] ? [index] : []));
  const costs = costsOf(ordered, light, heavy);
  const ends = stages === 1 ? [heavy.length] : [...cutAfter(ordered, heavy, costs, stages), heavy.length];
  return ends.map((end, at) => buildStage(ordered, light, heavy, ends, at, end));
}

/** Cost of each heavy node; the light ones before it count with it. */
function costsOf({ graph, maker, takes }: Ordered, light: boolean[], heavy: number[]): number[] {
  const weights = heavy.map((index) => {
    let bytes = (graph.nodes[index] as { constantBytes: number }).constantBytes;
    const seen = new Set<string>();
    const names = [...(takes[index] as string[])];
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      bytes += graph.constants.get(name)?.bytes ?? 0;
      const made = maker.get(name);
      if (made !== undefined && light[made]) names.push(...(takes[made] as string[]));
    }
    return bytes;
  });
  const computed = weights.map((bytes, at) => (LOOK_UPS.has(graph.nodes[heavy[at] as number]?.type ?? '') ? 0 : bytes));
  const [allWeights, allComputed] = [weights, computed].map((each) => each.reduce((sum, bytes) => sum + bytes, 0)) as [number, number];
  // A graph without weights: each node as much as any other.
  if (allWeights === 0) return heavy.map(() => 1);
  return weights.map((bytes, at) => bytes / allWeights + (allComputed === 0 ? 0 : (computed[at] as number) / allComputed));
}

/** How many heavy nodes each stage but the last ends after. */
function cutAfter(ordered: Ordered, heavy: number[], costs: number[], stages: number): number[] {
  const { graph } = ordered;
  const points: (CutPoint & { end: number })[] = [];
  let before = 0;
  const widths = crossingWidths(ordered, heavy);
  const gaps = layerGaps(ordered, heavy);
  if (gaps !== null && stages > gaps.layers) throw uncuttable(stages, '–', `it has ${gaps.layers} layers, and a stage has at least one`);
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  heavy.forEach((_, at) => {
    before += costs[at] as number;
    points.push({ before, width: widths[at] as number, end: at + 1 });
  });
  const candidates = (gaps === null ? points.slice(0, -1) : gaps.windows.flatMap((window) => narrowest(points, window))).filter(
    ({ width }) => width <= MAX_CROSSING,
  );
  const chosen = chooseCuts(candidates, total, stages);
  if (chosen !== null) return chosen.map((at) => (candidates[at] as { end: number }).end);
  const largest = costs.indexOf(Math.max(...costs));
  const node = heavy[largest] === undefined ? undefined : graph.nodes[heavy[largest] as number];
  if (node?.nested && (costs[largest] as number) > 0.5 * total) {
    throw uncuttable(stages, node.label, 'most of the model is in the graphs inside it, which are one piece');
  }
  const parts = costs.filter((cost) => cost > 0).length;
  if (parts < stages) throw uncuttable(stages, node?.label ?? '–', `only ${parts} of its nodes have anything to divide`);
  const widest = Math.min(...widths.slice(0, -1));
  const detail =
    candidates.length === 0
      ? `at least ${Number.isFinite(widest) ? widest : 'some'} values that can't all be handed on cross every place where it could be cut`
      : `it can be cut in ${candidates.length} places, which leaves fewer than ${stages} parts with weights of their own`;
  throw uncuttable(stages, node?.label ?? '–', detail);
}

/** How many values cross behind each heavy node; infinite where one of them can't travel. */
function crossingWidths({ graph, takes }: Ordered, heavy: number[]): number[] {
  const position = new Map(heavy.map((index, at) => [index, at]));
  const lastUse = new Map<string, number>();
  heavy.forEach((index, at) => {
    for (const name of takes[index] as string[]) lastUse.set(name, at);
  });
  const change = new Array<number>(heavy.length + 1).fill(0);
  const blocked = new Array<number>(heavy.length + 1).fill(0);
  const spread = (from: number, to: number, counts: number[]) => {
    if (to <= from) return;
    counts[from] = (counts[from] as number) + 1;
    counts[to] = (counts[to] as number) - 1;
  };
  for (const [index, at] of position) {
    const node = graph.nodes[index] as (typeof graph.nodes)[number];
    for (const name of node.outputs) {
      spread(at, lastUse.get(name) ?? at, change);
      if (makesUncarried(node)) spread(at, lastUse.get(name) ?? at, blocked);
    }
  }
  // What the job gives goes to every stage that takes it: as wide as handing it on from the first one.
  for (const [name, { value }] of graph.inputs) {
    if (cacheLayer(name) === undefined && value.type?.startsWith('float')) spread(0, lastUse.get(name) ?? 0, change);
  }
  let [width, obstacles] = [0, 0];
  return heavy.map((_, at) => {
    width += change[at] as number;
    obstacles += blocked[at] as number;
    return obstacles > 0 ? Number.POSITIVE_INFINITY : width;
  });
}

interface Window {
  /** The first and last position behind which the graph may be cut there. */
  first: number;
  last: number;
}

/** Between which nodes a decoder's layers lie; null for a graph without caches. */
function layerGaps({ graph, takes }: Ordered, heavy: number[]): { layers: number; windows: Window[] } | null {
  const spans = new Map<number, { first: number; last: number }>();
  heavy.forEach((index, at) => {
    for (const name of takes[index] as string[]) {
      const cache = cacheLayer(name);
      if (cache === undefined || !graph.inputs.has(name)) continue;
      const span = spans.get(cache.layer);
      if (span === undefined) spans.set(cache.layer, { first: at, last: at });
      else span.last = at;
    }
  });
  if (spans.size === 0) return null;
  const inOrder = [...spans.values()].sort((a, b) => a.first - b.first);
  const windows: Window[] = [];
  inOrder.forEach((span, at) => {
    const next = inOrder[at + 1];
    if (next !== undefined && span.last < next.first) windows.push({ first: span.last, last: next.first - 1 });
  });
  return { layers: spans.size, windows };
}

/** The narrowest place of a window: of several the last, where the next layer begins. */
function narrowest<T extends CutPoint>(points: readonly T[], { first, last }: Window): T[] {
  let best: T | undefined;
  for (let at = first; at <= last; at += 1) {
    const point = points[at] as T;
    if (best === undefined || point.width <= best.width) best = point;
  }
  return best === undefined ? [] : [best];
}

function buildStage(ordered: Ordered, light: boolean[], heavy: number[], ends: number[], stage: number, end: number): StagePlan {
  const { graph, maker, takes } = ordered;
  const start = stage === 0 ? 0 : (ends[stage - 1] as number);
  const own = new Set(heavy.slice(start, end));
  const isLast = stage === ends.length - 1;
  const stageOf = new Map<number, number>();
  heavy.forEach((index, at) => {
    stageOf.set(
      index,
      ends.findIndex((each) => at < each),
    );
  });
  const laterTakes = new Set(heavy.slice(end).flatMap((index) => takes[index] as string[]));
  /** Outputs of the model that this stage makes: the light ones are the last stage's. */
  const gives = [...graph.outputs.keys()].filter((name) => {
    const made = maker.get(name);
    return made === undefined || light[made] ? isLast : own.has(made);
  });

  const nodes = new Set(own);
  const [constants, taken] = [new Set<string>(), new Set<string>()];
  const shapesOf = new Set<string>();
  const wanted = [...[...own].flatMap((index) => takes[index] as string[]), ...gives];
  const follow = (index: number) => {
    for (const name of takes[index] as string[]) {
      if (cacheLayer(name) !== undefined && graph.inputs.has(name)) shapesOf.add(name);
      else wanted.push(name);
    }
  };
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const made = maker.get(name);
    if (made !== undefined && light[made]) {
      if (!nodes.has(made)) follow(made);
      nodes.add(made);
    } else if (made === undefined && graph.constants.has(name)) constants.add(name);
    else if (made === undefined || !own.has(made)) taken.add(name);
  }
  const renamed = ownShapes(shapesOf, taken, stage, graph, ends.length);

  const inputs: StagePlan['inputs'] = [...graph.inputs.keys()]
    .filter((name) => taken.has(name))
    .map((name) => ({ name, from: cacheLayer(name) ? 'cache' : 'job' }));
  const crossing = [...taken].filter((name) => maker.has(name)).map((name) => ({ name, made: maker.get(name) as number }));
  crossing.sort((a, b) => a.made - b.made || (a.name < b.name ? -1 : 1));
  inputs.unshift(...crossing.map(({ name, made }) => ({ name, from: stageOf.get(made) as number })));

  const layers = new Set(inputs.flatMap(({ name, from }) => (from === 'cache' ? [cacheLayer(name)?.layer as number] : [])));
  const handed = [...own].flatMap((index) => (graph.nodes[index] as { outputs: string[] }).outputs.filter((name) => laterTakes.has(name)));
  const outputs: StagePlan['outputs'] = gives.map((name) => ({
    name,
    to: laterTakes.has(name) ? 'both' : /^present\.\d+\.(key|value)$/.test(name) && layers.size > 0 ? 'cache' : 'job',
  }));
  for (const name of handed) if (!graph.outputs.has(name)) outputs.unshift({ name, to: 'stage' });
  const weightBytes = [...constants].reduce((sum, name) => sum + (graph.constants.get(name)?.bytes ?? 0), 0);
  return {
    nodes: [...nodes].sort((a, b) => a - b),
    constants: [...graph.constants.keys()].filter((name) => constants.has(name)),
    ...{ renamed, inputs, outputs, weightBytes },
    layers: [...layers].sort((a, b) => a - b),
  };
}

/** Every cache has the same shape: a stage that has not the one whose shape is asked for looks at one of its own. */
function ownShapes(shapesOf: Set<string>, taken: Set<string>, stage: number, graph: SplitGraph, stages: number): Map<string, string> {
  const renamed = new Map<string, string>();
  for (const name of shapesOf) {
    if (taken.has(name)) continue;
    const part = cacheLayer(name)?.part;
    const own = [...taken].find((each) => cacheLayer(each)?.part === part);
    if (own !== undefined) renamed.set(name, own);
    else if (stage === 0 && stages === 1) taken.add(name);
    else {
      const node = graph.nodes.find((each) => looksAtShape(each) && each.inputs.includes(name));
      throw uncuttable(stages, node?.label ?? name, `stage ${stage + 1} has no cache whose length it could tell`);
    }
  }
  return renamed;
}

function uncuttable(stages: number, node: string, detail: string): HearthlendError {
  return new HearthlendError('MODEL_UNCUTTABLE', { stages, node, detail });
}
