import { HearthlendError } from '../../contract/errors.ts';
import { elementCount, TENSOR_TYPES } from '../../contract/tensor.ts';
import type { GraphObserver } from '../onnx/observer.ts';
import type { TensorFacts } from '../onnx/tensor.ts';
import type { DeclaredValue } from '../onnx/values.ts';
import { invalidModel } from '../onnx/wire.ts';
import { type Body, expand } from './calls.ts';
import { isCoarseOperator, isKnownOperator, isRandomOperator, type Operator, operatorKey } from './operators.ts';
import { describePlace, type Place, shortened } from './place.ts';
import { shapeBytes, wrongData } from './tensor-bytes.ts';

/** What vetting found in a model that holds together. Which of it is allowed depends on whose work it is for. */
export interface ModelFacts {
  /** With its functions put in their places. */
  nodes: number;
  depth: number;
  /** The first operator that neither ONNX Runtime nor the model itself has; null where there is none. */
  foreign: { operator: string; where: string } | null;
  /** The first operator whose outputs are drawn by chance; null where there is none. */
  random: { operator: string; where: string } | null;
  /** Whether it holds float16, or rounds what it computes with to whole numbers of few bits. */
  coarse: boolean;
  /** Outputs that say where in other values the largest or smallest are, and those values. */
  indices: { output: string; values: string }[];
  /** Names of what it gives. */
  outputs: string[];
  /** Its constants, spread out. */
  weightBytes: number;
  /** The most that one node takes in or gives out, as far as the file tells shapes without a size that varies. */
  activationBytes: number;
}

/** The largest language models have some 30,000 nodes and 3,000 constants. */
const MAX_NODES = 1_000_000;
const MAX_TENSORS = 1_000_000;
const MAX_FUNCTIONS = 100_000;
const MAX_VALUES = 2_000_000;
/** The reader's own bound; here with functions put in their places. */
const MAX_DEPTH = 32;
/** Up to here it is kept what goes from node to node. */
const MAX_TRACED_NODES = 50_000;
/** Names kept in memory at once, over all. */
const MAX_KEPT_BYTES = 128 * 2 ** 20;

/** TensorProto.DataType. */
const FLOAT16 = 10;
const BFLOAT16 = 16;

/** Operators that hand on what they are given, in another type or shape. */
const RESHAPING = new Set(['Cast', 'Identity', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten']);

interface Frame extends Place, Operator {
  body: Body;
  depth: number;
  inputs: string[];
  outputs: string[];
  /** Inputs so far, and those up to the last that is not left out. */
  given: number;
  inputCount: number;
  /** Nodes of the graphs in it, so far. */
  inner: number;
}

/**
 * Looks at everything that the reader comes by. Refuses at once what is wrong whoever it is from: data that is not what type and shape need, or
 * that lies outside the model's own files.
 */
export class Inspection implements GraphObserver {
  /** @throws MODEL_PATH_UNSAFE, MODEL_DATA_MISSING */
  readonly #fileBytes: (location: string) => number;
  readonly #main = newBody('the graph');
  readonly #functions = new Map<string, Body>();
  /** Operators that ONNX Runtime doesn't have, by key, with their first place. */
  readonly #foreign = new Map<string, { operator: string; where: string }>();
  readonly #frames: Frame[] = [];
  readonly #values = new Map<string, number>();
  readonly #initializers = new Set<string>();
  #random: { operator: string; where: string } | null = null;
  #coarse = false;
  /** Values that are indices, and what they point into. */
  readonly #indices = new Map<string, string>();
  #traced: Pick<Frame, 'inputs' | 'outputs'>[] | null = [];
  readonly #external = new Set<string>();
  /** Nodes of the main graph itself, so far. */
  #outer = 0;
  /** Functions and values, so far. */
  #entered = 0;
  #valued = 0;
  #tensors = 0;
  #weightBytes = 0;
  #keptBytes = 0;

  constructor(fileBytes: (location: string) => number) {
    this.#fileBytes = fileBytes;
  }

  /** @throws MODEL_TOO_COMPLEX */
  facts(outputs: readonly string[]): ModelFacts {
    const { nodes, depth } = expand(this.#main, this.#functions, { nodes: MAX_NODES, depth: MAX_DEPTH });
    const foreign = [...this.#foreign].find(([key]) => !this.#functions.has(key))?.[1] ?? null;
    const bytes = { weightBytes: this.#weightBytes, activationBytes: this.#activationBytes() };
    return {
      nodes,
      depth,
      foreign,
      random: this.#random,
      coarse: this.#coarse,
      indices: this.#indicesAmong(outputs),
      outputs: [...outputs],
      ...bytes,
    };
  }

  enterTraining(): void {
    this.#enter(newBody('training'), null);
  }

  enterFunction(): void {
    this.#entered += 1;
    if (this.#entered > MAX_FUNCTIONS) throw this.#tooComplex(`it has more than ${MAX_FUNCTIONS} functions`);
    this.#enter(newBody(''), null);
  }

  functionName(name: string): void {
    this.#frame.type = name;
    this.#frame.name = name;
    this.#frame.body.name = `function "${shortened(name)}"`;
  }

  functionDomain(domain: string): void {
    this.#frame.domain = domain;
  }

  functionOverload(overload: string): void {
    this.#frame.overload = overload;
  }

  enterNode(depth: number): void {
    const around = this.#frames.at(-1);
    const body = around?.body ?? this.#main;
    if (body.nodes === MAX_NODES) throw this.#tooComplex(`it has more than ${MAX_NODES} nodes`);
    const own = body === this.#main ? depth : depth - 1;
    body.depth = Math.max(body.depth, own);
    this.#enter(body, around?.inner ?? this.#outer, own);
    body.nodes += 1;
    if (around === undefined) this.#outer += 1;
    else around.inner += 1;
  }

  nodeInput(name: string): void {
    // One that is left out has an empty name.
    this.#frame.given += 1;
    if (name !== '') this.#frame.inputCount = this.#frame.given;
    this.#trace('inputs', name);
  }

  nodeOutput(name: string): void {
    this.#trace('outputs', name);
  }

  nodeName(name: string): void {
    this.#frame.name = name;
  }

  nodeType(type: string): void {
    this.#frame.type = type;
  }

  nodeDomain(domain: string): void {
    this.#frame.domain = domain;
  }

  nodeOverload(overload: string): void {
    this.#frame.overload = overload;
  }

  leave(): void {
    const frame = this.#frame;
    if (frame.number === null) this.#leaveFunction(frame);
    else this.#leaveNode(frame);
    this.#frames.pop();
  }

  tensor(tensor: TensorFacts): void {
    this.#tensors += 1;
    if (this.#tensors > MAX_TENSORS) throw this.#tooComplex(`it has more than ${MAX_TENSORS} constants`);
    const fileBytes = tensor.external === null ? null : this.#fileBytes(tensor.external.location);
    const wrong = wrongData(tensor, fileBytes);
    if (wrong !== null) {
      throw new HearthlendError('MODEL_SIZE_WRONG', { where: describePlace(this.#frames, tensor.name), detail: wrong });
    }
    if (this.#frames.length === 0) {
      this.#keep(tensor.name);
      this.#initializers.add(tensor.name);
    }
    const bytes = shapeBytes(tensor.type, tensor.shape) ?? tensor.strings.bytes;
    this.#coarse ||= tensor.type === FLOAT16 || tensor.type === BFLOAT16;
    if (tensor.isExternal && tensor.external !== null) {
      // Several constants may share their bytes.
      const region = `${tensor.external.offset} ${bytes} ${tensor.external.location}`;
      if (this.#external.has(region)) return;
      this.#keep(region);
      this.#external.add(region);
    }
    this.#weightBytes += bytes;
  }

  sparse(values: TensorFacts, shape: number[]): void {
    this.#weightBytes += shapeBytes(values.type, shape) ?? 0;
  }

  value({ name, type, shape }: DeclaredValue): void {
    this.#valued += 1;
    if (this.#valued > MAX_VALUES) throw this.#tooComplex(`it has more than ${MAX_VALUES} values`);
    if (type === null || shape === null || !Object.hasOwn(TENSOR_TYPES, type)) return;
    if (!shape.every((size) => typeof size === 'number')) return;
    const elements = elementCount(shape as number[]);
    if (Number.isNaN(elements)) throw invalidModel(`its value ${shortened(name)} has the impossible shape ${shape.join(' × ')}`);
    this.#keep(name);
    this.#values.set(name, elements * TENSOR_TYPES[type as keyof typeof TENSOR_TYPES].bytes);
  }

  get #frame(): Frame {
    const frame = this.#frames.at(-1);
    if (frame === undefined) throw new Error('nothing was entered');
    return frame;
  }

  #enter(body: Body, number: number | null, depth = 0): void {
    this.#frames.push({
      body,
      number,
      depth,
      name: '',
      type: '',
      domain: '',
      overload: '',
      inputs: [],
      outputs: [],
      given: 0,
      inputCount: 0,
      inner: 0,
    });
  }

  #leaveFunction(frame: Frame): void {
    // Training has no name, and nothing calls it.
    if (frame.type === '') return;
    const key = operatorKey(frame);
    if (this.#functions.has(key)) throw invalidModel(`it has two functions ${shortened(frame.type)}`);
    this.#keep(key);
    this.#functions.set(key, frame.body);
  }

  #leaveNode(frame: Frame): void {
    const { body, depth, domain, type } = frame;
    const key = operatorKey(frame);
    this.#coarse ||= isCoarseOperator(frame);
    if (this.#random === null && isRandomOperator(frame, frame.inputCount)) {
      this.#random = { operator: shortened(type), where: describePlace(this.#frames) };
    }
    if (!this.#foreign.has(key) && !isKnownOperator(frame)) {
      const operator = domain === '' ? shortened(type) : `${shortened(domain)}::${shortened(type)}`;
      const where = describePlace(this.#frames);
      this.#keep(key + where);
      this.#foreign.set(key, { operator, where });
    }
    const call = body.calls.get(key);
    if (call === undefined) this.#keep(key);
    body.calls.set(key, { count: (call?.count ?? 0) + 1, depth: Math.max(call?.depth ?? 0, depth) });
    if (body !== this.#main || depth > 0 || this.#traced === null) return;
    this.#followIndices(frame);
    if (this.#traced.length === MAX_TRACED_NODES) this.#traced = null;
    else this.#traced.push({ inputs: frame.inputs, outputs: frame.outputs });
  }

  /** Indices stay indices where only their type or shape is changed. */
  #followIndices({ type, inputs: [input = ''], outputs: [first = '', second = ''] }: Frame): void {
    if (type === 'ArgMax' || type === 'ArgMin') this.#indices.set(first, input);
    else if (type === 'TopK') this.#indices.set(second, input);
    else if (RESHAPING.has(type)) {
      const values = this.#indices.get(input);
      if (values !== undefined) this.#indices.set(first, values);
    }
  }

  #indicesAmong(outputs: readonly string[]): ModelFacts['indices'] {
    return outputs.flatMap((output) => {
      const values = this.#indices.get(output);
      return values === undefined ? [] : [{ output, values }];
    });
  }

  #trace(side: 'inputs' | 'outputs', name: string): void {
    const frame = this.#frame;
    if (frame.body !== this.#main || frame.depth > 0 || this.#traced === null) return;
    this.#keep(name);
    frame[side].push(name);
  }

  /**
   * One node's inputs are there at once when it begins, and its outputs when it ends. Which nodes follow each other is ONNX Runtime's to
   * decide, and it computes many in place, so more can't be said without running it.
   */
  #activationBytes(): number {
    const sum = (names: string[]) =>
      [...new Set(names)].reduce((bytes, name) => bytes + (this.#initializers.has(name) ? 0 : (this.#values.get(name) ?? 0)), 0);
    let most = 0;
    for (const { inputs, outputs } of this.#traced ?? []) most = Math.max(most, sum(inputs), sum(outputs));
    return most;
  }

  #keep(text: string): void {
    this.#keptBytes += 2 * text.length + 64;
    if (this.#keptBytes > MAX_KEPT_BYTES) throw this.#tooComplex('its names are too long');
  }

  #tooComplex(detail: string): HearthlendError {
    return new HearthlendError('MODEL_TOO_COMPLEX', { detail, where: describePlace(this.#frames) });
  }
}

function newBody(name: string): Body {
  return { name, nodes: 0, depth: 0, calls: new Map() };
}
