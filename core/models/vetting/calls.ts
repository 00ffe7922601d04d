import { HearthlendError } from '../../contract/errors.ts';

/** What one of the model's functions, or its main graph, is made of. */
export interface Body {
  /** For the reader. */
  name: string;
  nodes: number;
  /** How deep the graphs in it are nested. */
  depth: number;
  /** What its nodes call, by operator key: how often, and how deep in it. */
  calls: Map<string, { count: number; depth: number }>;
}

/** A model as ONNX Runtime sees it: its functions are put in place of the nodes that call them before it runs. */
export interface Expanded {
  nodes: number;
  depth: number;
}

/**
 * Counts nodes and depth of a model with all functions put in their places. Twenty functions that call the next one ten times are a model of
 * 10^20 nodes; one that calls itself has no end. Pure.
 * @throws MODEL_TOO_COMPLEX naming the function
 */
export function expand(main: Body, functions: ReadonlyMap<string, Body>, limits: { nodes: number; depth: number }): Expanded {
  const known = new Map<Body, Expanded>();
  const open = new Set<Body>();
  const of = (body: Body): Expanded => {
    const before = known.get(body);
    if (before !== undefined) return before;
    const refuse = (detail: string) => new HearthlendError('MODEL_TOO_COMPLEX', { detail, where: body.name });
    if (open.has(body)) throw refuse('a function calls itself');
    // Each call lies at least one deeper than its caller, so this bounds the recursion, too.
    if (open.size > limits.depth) throw refuse(`functions call each other more than ${limits.depth} deep`);
    open.add(body);
    const total = { nodes: body.nodes, depth: body.depth };
    for (const [key, { count, depth }] of body.calls) {
      const called = functions.get(key);
      if (called === undefined) continue;
      const inner = of(called);
      total.nodes += count * inner.nodes;
      total.depth = Math.max(total.depth, depth + inner.depth);
      if (!(total.nodes <= limits.nodes)) throw refuse(`with its functions put in place it has more than ${limits.nodes} nodes`);
      if (total.depth > limits.depth) throw refuse(`with its functions put in place it is nested more than ${limits.depth} deep`);
    }
    open.delete(body);
    known.set(body, total);
    return total;
  };
  return of(main);
}
