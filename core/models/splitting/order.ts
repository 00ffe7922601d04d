import { HearthlendError } from '../../contract/errors.ts';
import { invalidModel } from '../onnx/wire.ts';
import type { SplitGraph } from './graph.ts';

/** A graph's nodes with what makes each value, checked to be in an order in which they can be computed. */
export interface Ordered {
  graph: SplitGraph;
  /** The node that makes a value, by its index. */
  maker: ReadonlyMap<string, number>;
  /** All that a node takes, what its inner graphs take from around them included, each once. */
  takes: string[][];
  /** Whether an output of the model comes of it. */
  needed: boolean[];
}

/** @throws MODEL_INVALID where two nodes make one value or a value comes from nowhere, MODEL_UNCUTTABLE where nodes stand before what they need */
export function orderNodes(graph: SplitGraph, stages: number): Ordered {
  const maker = new Map<string, number>();
  graph.nodes.forEach(({ outputs, label }, index) => {
    for (const name of outputs) {
      if (maker.has(name) || graph.inputs.has(name) || graph.constants.has(name))
        throw invalidModel(`its value ${name} is made twice, once by ${label}`);
      maker.set(name, index);
    }
  });
  const known = (name: string) => graph.inputs.has(name) || graph.constants.has(name);
  const takes = graph.nodes.map((node, index) => {
    const names = new Set([...node.inputs, ...node.captured]);
    for (const name of names) {
      const made = maker.get(name);
      if (made !== undefined ? made < index : known(name)) continue;
      if (made === undefined) throw invalidModel(`its node ${node.label} takes ${name}, which nothing makes`);
      const detail = `it takes ${name}, which no node before it makes; nodes in a circle can't be computed`;
      throw new HearthlendError('MODEL_UNCUTTABLE', { stages, node: node.label, detail });
    }
    return [...names];
  });
  const needed = graph.nodes.map(() => false);
  const wanted: string[] = [...graph.outputs.keys()];
  for (const name of wanted) if (!maker.has(name) && !known(name)) throw invalidModel(`its output ${name} is made by no node`);
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    const index = maker.get(name);
    if (index === undefined || needed[index]) continue;
    needed[index] = true;
    wanted.push(...(takes[index] as string[]));
  }
  return { graph, maker, takes, needed };
}
