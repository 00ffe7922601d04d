import type { TensorFacts } from './tensor.ts';
import type { DeclaredValue } from './values.ts';

/** Is told what a model's file holds, in the file's order, and throws to end the reading. */
export interface GraphObserver {
  enterTraining(): void;
  enterFunction(): void;
  functionName(name: string): void;
  functionDomain(domain: string): void;
  functionOverload(overload: string): void;
  /** @param depth 0 for a node of the main graph, one more for each graph that it lies in */
  enterNode(depth: number): void;
  nodeInput(name: string): void;
  nodeOutput(name: string): void;
  nodeName(name: string): void;
  nodeType(type: string): void;
  nodeDomain(domain: string): void;
  nodeOverload(overload: string): void;
  /** The end of what was entered last. */
  leave(): void;
  /** A constant: an initializer, or an attribute of the node that was entered last. */
  tensor(tensor: TensorFacts): void;
  /** A sparse one, whose values were told of before, with the shape that it has when it is spread out. */
  sparse(values: TensorFacts, shape: number[]): void;
  /** An input or output of the main graph, or a value between two of its nodes. */
  value(value: DeclaredValue): void;
}
