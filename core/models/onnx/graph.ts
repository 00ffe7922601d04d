import { type DeclaredValue, readValue } from './values.ts';
import { BYTES, type Field, invalidModel, type WireReader } from './wire.ts';

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
const MAX_NAME_BYTES = 4096;
const MAX_LOCATIONS = 4095;
/** Names kept in memory at once, over all. */
const MAX_KEPT_BYTES = 256 * 2 ** 20;

/**
 * Reads a ModelProto. Field numbers are those of onnx.proto (github.com/onnx/onnx).
 * @throws MODEL_INVALID
 */
export async function readGraph(reader: WireReader, size: number): Promise<ModelGraph> {
  return new GraphWalk(reader).model(size);
}

class GraphWalk {
  readonly #reader: WireReader;
  readonly #external = new Map<string, number>();
  #nodes = 0;
  #keptBytes = 0;

  constructor(reader: WireReader) {
    this.#reader = reader;
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
    await this.#reader.eachField(field.start, field.end, (part) =>
      part.wire === BYTES && (part.number === 1 || part.number === 2) ? this.#graph(part, undefined, 1) : undefined,
    );
  }

  async #function(field: Field): Promise<void> {
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      if (part.number === 7) return this.#node(part, 1);
      if (part.number === 11) return this.#attribute(part, 1);
      return undefined;
    });
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
        case 15:
          return this.#sparseTensor(part, edges?.initializers);
        default:
          return undefined;
      }
    });
  }

  async #value(field: Field, values: DeclaredValue[]): Promise<void> {
    if (values.length === MAX_VALUES) throw invalidModel(`it has more than ${MAX_VALUES} inputs or outputs`);
    values.push(await readValue(this.#reader, field));
  }

  async #node(field: Field, depth: number): Promise<void> {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) throw invalidModel(`it has more than ${MAX_NODES} nodes`);
    await this.#reader.eachField(field.start, field.end, (part) =>
      part.number === 5 && part.wire === BYTES ? this.#attribute(part, depth) : undefined,
    );
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
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      // The values' name is the sparse tensor's.
      if (part.number === 1) return this.#tensor(part, initializers);
      if (part.number === 2) return this.#tensor(part, undefined);
      return undefined;
    });
  }

  /** Steps over the weights; keeps the name where `initializers` wants it, and the place of external data. */
  async #tensor(field: Field, initializers: Set<string> | undefined): Promise<void> {
    const data = new Map<string, string>();
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.number === 8 && initializers !== undefined) {
        return this.#reader.text(part, MAX_NAME_BYTES).then((name) => {
          if (!initializers.has(name)) this.#keep(name);
          initializers.add(name);
        });
      }
      if (part.number === 13 && part.wire === BYTES) return this.#dataEntry(part, data);
      // data_location is not asked for: a location that ONNX Runtime would ignore is held to the same rules.
      return undefined;
    });
    const location = data.get('location');
    if (location === undefined) return;
    const known = this.#external.get(location);
    if (known === undefined) {
      if (this.#external.size === MAX_LOCATIONS) throw invalidModel(`it refers to more than ${MAX_LOCATIONS} files`);
      this.#keep(location);
    }
    this.#external.set(location, Math.max(known ?? 0, dataEnd(data)));
  }

  async #dataEntry(field: Field, data: Map<string, string>): Promise<void> {
    let key = '';
    let value = '';
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.number === 1)
        return this.#reader.text(part, MAX_NAME_BYTES).then((text) => {
          key = text;
        });
      if (part.number === 2)
        return this.#reader.text(part, MAX_NAME_BYTES).then((text) => {
          value = text;
        });
      return undefined;
    });
    if (data.has(key)) throw invalidModel(`a tensor's external data gives its ${key} twice`);
    if (data.size === 16) throw invalidModel("a tensor's external data has too many entries");
    data.set(key, value);
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

/** How many bytes the file must have for this tensor; without a length, the tensor takes the file's rest. */
function dataEnd(data: ReadonlyMap<string, string>): number {
  const [offset, length] = [data.get('offset') ?? '0', data.get('length') ?? '0'];
  if (!/^\d{1,15}$/.test(offset) || !/^\d{1,15}$/.test(length))
    throw invalidModel("a tensor's external data has a malformed offset or length");
  return Number(offset) + Number(length);
}
