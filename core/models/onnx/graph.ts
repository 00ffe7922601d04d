import type { GraphObserver } from './observer.ts';
import { readTensor, type TensorFacts } from './tensor.ts';
import { type DeclaredValue, readValue } from './values.ts';
import { BYTES, type Field, invalidModel, MAX_DIMENSIONS, MAX_NAME_BYTES, type WireReader } from './wire.ts';

/** What a model's file says of itself, without its weights. */
export interface ModelGraph {
  /** The main graph's inputs; those that have an initializer, and so need not be given, are left out. */
  inputs: DeclaredValue[];
  outputs: DeclaredValue[];
  /** Every external-data location, anywhere in the file, as written, with the size that its file must have at least. */
  external: ReadonlyMap<string, number>;
}

const MAX_NODES = 10_000_000;
const MAX_GRAPH_DEPTH = 32;
const MAX_VALUES = 4096;
const MAX_LOCATIONS = 4095;
/** Names kept in memory at once, over all. */
const MAX_KEPT_BYTES = 256 * 2 ** 20;

/**
 * Reads a ModelProto. Field numbers are those of onnx.proto (github.com/onnx/onnx).
 * @param observer is told of every node, tensor and value on the way, where somebody wants to know
 * @throws MODEL_INVALID, and what the observer throws
 */
export async function readGraph(reader: WireReader, size: number, observer?: GraphObserver): Promise<ModelGraph> {
  return new GraphWalk(reader, observer).model(size);
}

class GraphWalk {
  readonly #reader: WireReader;
  readonly #observer: GraphObserver | undefined;
  readonly #external = new Map<string, number>();
  #nodes = 0;
  #keptBytes = 0;

  constructor(reader: WireReader, observer: GraphObserver | undefined) {
    this.#reader = reader;
    this.#observer = observer;
  }

  async model(size: number): Promise<ModelGraph> {
    let graph: GraphEdges | undefined;
    await this.#reader.eachField(0, size, (field) => {
      if (field.wire !== BYTES) return undefined;
      if (field.number === 7) {
        // Protobuf would merge a second one into the first. No exporter writes that; reading it differently from ONNX Runtime is unsafe.
        if (graph !== undefined) throw invalidModel('it has two main graphs');
        graph = new GraphEdges();
        return this.#graph(field, graph, 0);
      }
      if (field.number === 20) return this.#trainingInfo(field);
      if (field.number === 25) return this.#function(field);
      return undefined;
    });
    if (graph === undefined) throw invalidModel('it has no graph, so it is not an ONNX file');
    const { inputs, outputs, initializers } = graph;
    return { inputs: inputs.filter(({ name }) => !initializers.has(name)), outputs, external: this.#external };
  }

  async #trainingInfo(field: Field): Promise<void> {
    this.#observer?.enterTraining();
    await this.#reader.eachField(field.start, field.end, (part) =>
      part.wire === BYTES && (part.number === 1 || part.number === 2) ? this.#graph(part, undefined, 1) : undefined,
    );
    this.#observer?.leave();
  }

  async #function(field: Field): Promise<void> {
    const observer = this.#observer;
    observer?.enterFunction();
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      if (part.number === 7) return this.#node(part, 1);
      if (part.number === 11) return this.#attribute(part, 1);
      if (observer === undefined) return undefined;
      if (part.number === 1) return this.#text(part, (name) => observer.functionName(name));
      if (part.number === 10) return this.#text(part, (domain) => observer.functionDomain(domain));
      if (part.number === 13) return this.#text(part, (overload) => observer.functionOverload(overload));
      return undefined;
    });
    observer?.leave();
  }

  /** `edges` is given for the main graph, whose inputs and outputs are the model's. */
  async #graph(field: Field, edges: GraphEdges | undefined, depth: number): Promise<void> {
    if (depth > MAX_GRAPH_DEPTH) throw invalidModel(`its graphs are nested more than ${MAX_GRAPH_DEPTH} deep`);
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      switch (part.number) {
        case 1:
          return this.#node(part, depth);
        case 5:
          return this.#tensor(part, edges?.initializers);
        case 11:
          return edges && this.#value(part, edges.inputs);
        case 12:
          return edges && this.#value(part, edges.outputs);
        case 13:
          return edges && this.#observer && this.#inner(part);
        case 15:
          return this.#sparseTensor(part, edges?.initializers);
        default:
          return undefined;
      }
    });
  }

  async #value(field: Field, values: DeclaredValue[]): Promise<void> {
    if (values.length === MAX_VALUES) throw invalidModel(`it has more than ${MAX_VALUES} inputs or outputs`);
    const value = await readValue(this.#reader, field);
    this.#observer?.value(value);
    values.push(value);
  }

  /** A value between two nodes of the main graph. */
  async #inner(field: Field): Promise<void> {
    this.#observer?.value(await readValue(this.#reader, field));
  }

  async #node(field: Field, depth: number): Promise<void> {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) throw invalidModel(`it has more than ${MAX_NODES} nodes`);
    const observer = this.#observer;
    observer?.enterNode(depth);
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.number === 5 && part.wire === BYTES) return this.#attribute(part, depth);
      if (observer === undefined) return undefined;
      // Serializers write in the order of numbers, so name and type are known before the attributes.
      if (part.number === 1) return this.#text(part, (name) => observer.nodeInput(name));
      if (part.number === 2) return this.#text(part, (name) => observer.nodeOutput(name));
      if (part.number === 3) return this.#text(part, (name) => observer.nodeName(name));
      if (part.number === 4) return this.#text(part, (type) => observer.nodeType(type));
      if (part.number === 7) return this.#text(part, (domain) => observer.nodeDomain(domain));
      if (part.number === 8) return this.#text(part, (overload) => observer.nodeOverload(overload));
      return undefined;
    });
    observer?.leave();
  }

  async #attribute(field: Field, depth: number): Promise<void> {
    const seen = new Set<number>();
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      if (part.number === 5 || part.number === 6 || part.number === 22) {
        if (seen.has(part.number)) throw invalidModel('an attribute in it has two values');
        seen.add(part.number);
      }
      if (part.number === 5 || part.number === 10) return this.#tensor(part, undefined);
      if (part.number === 6 || part.number === 11) return this.#graph(part, undefined, depth + 1);
      if (part.number === 22 || part.number === 23) return this.#sparseTensor(part, undefined);
      return undefined;
    });
  }

  async #sparseTensor(field: Field, initializers: Set<string> | undefined): Promise<void> {
    let values: TensorFacts | undefined;
    const shape: number[] = [];
    await this.#reader.eachField(field.start, field.end, (part) => {
      // The values' name is the sparse tensor's.
      if (part.number === 1 && part.wire === BYTES)
        return this.#tensor(part, initializers).then((tensor) => {
          values = tensor;
        });
      if (part.number === 2 && part.wire === BYTES) return this.#tensor(part, undefined).then(() => undefined);
      if (part.number === 3)
        return this.#reader.numbers(part, MAX_DIMENSIONS).then((sizes) => {
          shape.push(...sizes);
        });
      return undefined;
    });
    if (values !== undefined) this.#observer?.sparse(values, shape);
  }

  /** Steps over the weights; keeps the name where `initializers` wants it, and the place of external data. */
  async #tensor(field: Field, initializers: Set<string> | undefined): Promise<TensorFacts> {
    const tensor = await readTensor(this.#reader, field, this.#observer ? 'all' : initializers ? 'name' : 'place');
    if (initializers !== undefined) {
      if (!initializers.has(tensor.name)) this.#keep(tensor.name);
      initializers.add(tensor.name);
    }
    if (tensor.external !== null) {
      const { location, end } = tensor.external;
      const known = this.#external.get(location);
      if (known === undefined) {
        if (this.#external.size === MAX_LOCATIONS) throw invalidModel(`it refers to more than ${MAX_LOCATIONS} files`);
        this.#keep(location);
      }
      this.#external.set(location, Math.max(known ?? 0, end));
    }
    this.#observer?.tensor(tensor);
    return tensor;
  }

  #text(field: Field, take: (text: string) => void): Promise<void> {
    return this.#reader.text(field, MAX_NAME_BYTES).then(take);
  }

  #keep(name: string): void {
    this.#keptBytes += name.length + 64;
    if (this.#keptBytes > MAX_KEPT_BYTES) throw invalidModel('its names are too long');
  }
}

class GraphEdges {
  readonly inputs: DeclaredValue[] = [];
  readonly outputs: DeclaredValue[] = [];
  readonly initializers = new Set<string>();
}
