import { sharedInput } from '../../contract/stages.ts';
import type { SplitGraph, SplitNode } from './graph.ts';

const CACHE_INPUT = /^past_key_values\.(\d{1,4})\.(key|value)$/;
/** Operators that look at their input's shape and at nothing else. */
const SHAPE_OPERATORS = new Set(['Shape', 'Size']);
/** What differs from one time to the next, and so must be computed once. */
const RANDOM_OPERATORS = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'Dropout',
]);
/** What they make can't travel as a tensor. */
const UNCARRIED = /^(Sequence|SplitToSequence|Optional|ConcatFromSequence$)/;

/** The layer whose cache an input takes; undefined for other inputs. */
export function cacheLayer(name: string): { layer: number; part: 'key' | 'value' } | undefined {
  const [, layer, part] = CACHE_INPUT.exec(name) ?? [];
  return layer === undefined ? undefined : { layer: Number(layer), part: part as 'key' | 'value' };
}

export function looksAtShape(node: SplitNode): boolean {
  return node.domain === '' && SHAPE_OPERATORS.has(node.type);
}

/**
 * Which nodes are light: made of constants, masks, positions, and the sizes of what comes in. Every stage that needs one computes it for itself. The
 * others make up the layers.
 */
export function lightNodes(graph: SplitGraph): boolean[] {
  const light = new Set<string>(['', ...graph.constants.keys()]);
  for (const name of graph.inputs.keys()) if (sharedInput(name)) light.add(name);
  return graph.nodes.map((node) => {
    const isLight =
      !node.nested &&
      !RANDOM_OPERATORS.has(node.type) &&
      node.inputs.every((name) => light.has(name) || (looksAtShape(node) && tellsItsShape(graph, name)));
    if (isLight) for (const name of node.outputs) light.add(name);
    return isLight;
  });
}

/** Whether a stage can know an input's shape without being sent more than tokens: caches it has itself, and tokens are small. */
function tellsItsShape({ inputs }: SplitGraph, name: string): boolean {
  const input = inputs.get(name);
  if (input === undefined) return false;
  return cacheLayer(name) !== undefined || /^u?int(8|16|32|64)$|^bool$/.test(input.value.type ?? '');
}

export function makesUncarried({ type, domain }: SplitNode): boolean {
  return domain === '' && UNCARRIED.test(type);
}
