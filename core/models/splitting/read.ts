import { HearthlendError } from '../../contract/errors.ts';
import { dataName } from '../data-name.ts';
import { readTensor, type TensorFacts } from '../onnx/tensor.ts';
import { readValue } from '../onnx/values.ts';
import { BYTES, type Field, invalidModel, MAX_NAME_BYTES, type WireReader } from '../onnx/wire.ts';
import { shapeBytes } from '../vetting/tensor-bytes.ts';
import type { SplitGraph, SplitNode, SplitTensor } from './graph.ts';

/** The largest language models have some 30,000 nodes and 3,000 constants. */
const MAX_NODES = 200_000;
const MAX_CONSTANTS = 100_000;
const MAX_VALUES = 400_000;
const MAX_GRAPH_DEPTH = 32;
/** Names kept in memory at once, over all. */
const MAX_KEPT_BYTES = 128 * 2 ** 20;

/**
 * Reads a model's names and where everything lies; weights are stepped over. Field numbers: onnx.proto (github.com/onnx/onnx).
 * @throws MODEL_INVALID, MODEL_TOO_COMPLEX, MODEL_PATH_UNSAFE
 */
export async function readSplitGraph(reader: WireReader, size: number): Promise<SplitGraph> {
  return new Reading(reader).model(size);
}

/** What the graphs inside a node mention, and what they make themselves. */
interface Nested {
  used: Set<string>;
  made: Set<string>;
}

class Reading {
  readonly #reader: WireReader;
  readonly #graph: SplitGraph = {
    modelFields: [],
    graphFields: [],
    nodes: [],
    constants: new Map(),
    inputs: new Map(),
    constantInputs: new Map(),
    outputs: new Map(),
    inner: new Map(),
    quantization: new Map(),
  };
  #nodes = 0;
  #values = 0;
  #keptBytes = 0;

  constructor(reader: WireReader) {
    this.#reader = reader;
  }

  async model(size: number): Promise<SplitGraph> {
    let found = false;
    await this.#reader.eachField(0, size, (field) => {
      if (field.number === 7 && field.wire === BYTES) {
        if (found) throw invalidModel('it has two main graphs');
        found = true;
        return this.#main(field);
      }
      // Training would name nodes that a part of the model doesn't have.
      if (field.number !== 20) this.#graph.modelFields.push({ ...field });
      return undefined;
    });
    if (!found) throw invalidModel('it has no graph, so it is not an ONNX file');
    const { inputs, constants, constantInputs } = this.#graph;
    for (const [name, { start, end }] of inputs) {
      if (!constants.has(name)) continue;
      inputs.delete(name);
      constantInputs.set(name, { start, end });
    }
    return this.#graph;
  }

  async #main(graph: Field): Promise<void> {
    await this.#reader.eachField(graph.start, graph.end, (field) => {
      if (field.wire !== BYTES) {
        this.#graph.graphFields.push({ ...field });
        return undefined;
      }
      switch (field.number) {
        case 1:
          return this.#node(field);
        case 5:
          return this.#constant(field);
        case 15:
          return this.#sparseConstant(field);
        case 11:
          return this.#value(field, this.#graph.inputs);
        case 12:
          return this.#value(field, this.#graph.outputs);
        case 13:
          return this.#value(field, this.#graph.inner);
        case 14:
          return this.#quantization(field);
        default:
          this.#graph.graphFields.push({ ...field });
          return undefined;
      }
    });
  }

  async #value(field: Field, values: SplitGraph['inputs']): Promise<void> {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw tooComplex(`it has more than ${MAX_VALUES} values`);
    const value = await readValue(this.#reader, field);
    if (values.has(value.name) && values !== this.#graph.inner) throw invalidModel(`it declares ${value.name} twice`);
    this.#keep(value.name);
    values.set(value.name, { value, start: field.start, end: field.end });
  }

  async #quantization(field: Field): Promise<void> {
    let name = '';
    await this.#reader.eachField(field.start, field.end, (part) =>
      part.number === 1
        ? this.#text(part, (text) => {
            name = text;
          })
        : undefined,
    );
    this.#graph.quantization.set(name, { start: field.start, end: field.end });
  }

  async #constant(field: Field): Promise<void> {
    const facts = await readTensor(this.#reader, field, 'all');
    if (facts.isExternal !== (facts.external !== null))
      throw invalidModel(`its constant ${facts.name} is unclear about where its data lies`);
    const bytes = shapeBytes(facts.type, facts.shape) ?? facts.strings.bytes;
    let external: SplitTensor['external'] = null;
    if (facts.external !== null) {
      const { location, offset, length } = facts.external;
      external = { path: dataName(location), offset, length: length ?? bytes };
    }
    this.#add({ name: facts.name, field: 5, start: field.start, end: field.end, bytes, external });
  }

  async #sparseConstant(field: Field): Promise<void> {
    let name = '';
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES || part.number > 2) return undefined;
      return readTensor(this.#reader, part, 'name').then((facts) => {
        if (facts.external !== null) throw invalidModel('a sparse constant in it lies in a file of its own');
        if (part.number === 1) name = facts.name;
      });
    });
    this.#add({ name, field: 15, start: field.start, end: field.end, bytes: field.end - field.start, external: null });
  }

  #add(tensor: SplitTensor): void {
    const { constants } = this.#graph;
    if (constants.has(tensor.name)) throw invalidModel(`it has two constants ${tensor.name}`);
    if (constants.size === MAX_CONSTANTS) throw tooComplex(`it has more than ${MAX_CONSTANTS} constants`);
    this.#keep(tensor.name);
    constants.set(tensor.name, tensor);
  }

  async #node(field: Field): Promise<void> {
    this.#count();
    const node: SplitNode = {
      ...{ start: field.start, end: field.end, label: '', type: '', domain: '', nested: false, constantBytes: 0 },
      ...{ inputs: [], captured: [], outputs: [] },
    };
    const nested: Nested = { used: new Set(), made: new Set() };
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      if (part.number === 1) return this.#text(part, (name) => void (name === '' || node.inputs.push(name)));
      if (part.number === 2) return this.#text(part, (name) => void (name === '' || node.outputs.push(name)));
      if (part.number === 3) return this.#text(part, (name) => Object.assign(node, { label: name }));
      if (part.number === 4) return this.#text(part, (type) => Object.assign(node, { type }));
      if (part.number === 7) return this.#text(part, (domain) => Object.assign(node, { domain }));
      if (part.number === 5) return this.#attribute(part, node, nested, 0);
      return undefined;
    });
    for (const name of nested.used) if (!nested.made.has(name)) node.captured.push(name);
    if (node.label === '') node.label = node.outputs[0] === undefined ? node.type : `${node.type} → ${node.outputs[0]}`;
    this.#graph.nodes.push(node);
  }

  /** @param node the node of the main graph in which it lies, however deep */
  async #attribute(field: Field, node: SplitNode, nested: Nested, depth: number): Promise<void> {
    if (depth > MAX_GRAPH_DEPTH) throw invalidModel(`its graphs are nested more than ${MAX_GRAPH_DEPTH} deep`);
    await this.#reader.eachField(field.start, field.end, (part) => {
      if (part.wire !== BYTES) return undefined;
      if (part.number === 5 || part.number === 10) return this.#inside(part, node);
      if (part.number === 6 || part.number === 11) {
        node.nested = true;
        return this.#nestedGraph(part, node, nested, depth + 1);
      }
      return undefined;
    });
  }

  async #nestedGraph(graph: Field, node: SplitNode, nested: Nested, depth: number): Promise<void> {
    await this.#reader.eachField(graph.start, graph.end, (field) => {
      if (field.wire !== BYTES) return undefined;
      if (field.number === 1) {
        this.#count();
        return this.#reader.eachField(field.start, field.end, (part) => {
          if (part.wire !== BYTES) return undefined;
          if (part.number === 1) return this.#text(part, (name) => void nested.used.add(name));
          if (part.number === 2) return this.#text(part, (name) => void nested.made.add(name));
          if (part.number === 5) return this.#attribute(part, node, nested, depth);
          return undefined;
        });
      }
      if (field.number === 5) return this.#inside(field, node, nested.made);
      if (field.number === 11 || field.number === 12) {
        return readValue(this.#reader, field).then(({ name }) => void (field.number === 11 ? nested.made : nested.used).add(name));
      }
      return undefined;
    });
  }

  /** A constant within a node. */
  async #inside(field: Field, node: SplitNode, made?: Set<string>): Promise<void> {
    const facts: TensorFacts = await readTensor(this.#reader, field, 'all');
    if (facts.external !== null) throw invalidModel('a constant within one of its nodes lies in a file of its own');
    node.constantBytes += field.end - field.start;
    made?.add(facts.name);
  }

  #count(): void {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) throw tooComplex(`it has more than ${MAX_NODES} nodes`);
  }

  #text(field: Field, take: (text: string) => unknown): Promise<void> {
    return this.#reader.text(field, MAX_NAME_BYTES).then((text) => {
      this.#keep(text);
      take(text);
    });
  }

  #keep(name: string): void {
    this.#keptBytes += 2 * name.length + 64;
    if (this.#keptBytes > MAX_KEPT_BYTES) throw tooComplex('its names are too long');
  }
}

function tooComplex(detail: string): HearthlendError {
  return new HearthlendError('MODEL_TOO_COMPLEX', { detail, where: 'the graph' });
}
