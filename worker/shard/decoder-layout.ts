import { HearthlendError } from '../../core/contract/errors.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import type { TensorType } from '../../core/contract/tensor.ts';
import type { GraphValue } from '../../core/contract/worker-messages.ts';
import type { Session } from './session.ts';

/** One of a decoder's caches: the input that takes it, the output that gives it, and what one position of it is. */
export interface CacheSlot {
  past: string;
  present: string;
  type: TensorType;
  heads: number;
  headSize: number;
}

/** The types in which exporters declare inputs of whole numbers. */
export type IntegerType = 'int64' | 'int32';

/**
 * How a decoder is called, as Optimum, transformers.js and onnxruntime-genai export them: cache inputs `past_key_values.N.key|value` and outputs
 * `present.N.key|value` of [batch, heads, positions, head size]. What a graph does not ask for is null or false.
 */
export interface DecoderLayout {
  caches: CacheSlot[];
  inputIds: IntegerType;
  attentionMask: IntegerType | null;
  positionIds: IntegerType | null;
  /** An input that says of how many last tokens the logits are wanted. */
  logitsToKeep: { name: string; type: IntegerType; shape: number[] } | null;
  /** A graph of two branches, of which the second takes a cache. */
  cacheBranch: boolean;
}

const CACHE_INPUT = /^past_key_values\.(\d+\.(?:key|value))$/;
const LOGITS_TO_KEEP = new Set(['num_logits_to_keep', 'logits_to_keep']);

/**
 * Reads a decoder's layout from the graph's own inputs and outputs; the configuration has the say only where the graph leaves a size open.
 * @throws MODEL_NOT_GENERATIVE naming what is missing, unknown, or contradicts the configuration
 */
export function readLayout(session: Session, decoder: DecoderConfig): DecoderLayout {
  if (!session.outputs.some(({ name }) => name === 'logits')) throw refusal('it has no output logits');
  const { caches, others } = cacheSlots(session, decoder);
  const layout: DecoderLayout = {
    caches,
    inputIds: 'int64',
    attentionMask: null,
    positionIds: null,
    logitsToKeep: null,
    cacheBranch: false,
  };
  for (const input of others) {
    const { name } = input;
    if (name === 'input_ids') layout.inputIds = integerType(input);
    else if (name === 'attention_mask') layout.attentionMask = integerType(input);
    else if (name === 'position_ids') layout.positionIds = integerType(input);
    else if (LOGITS_TO_KEEP.has(name)) layout.logitsToKeep = { name, type: integerType(input), shape: input.shape.map(() => 1) };
    else if (name === 'use_cache_branch' && input.type === 'bool') layout.cacheBranch = true;
    else throw refusal(`its input ${name} is none that such a decoder has`);
  }
  if (!others.some(({ name }) => name === 'input_ids')) throw refusal('it has no input input_ids');
  if (layout.caches.length !== 2 * decoder.layers) {
    throw refusal(`it has ${layout.caches.length} cache inputs where ${decoder.layers} layers need ${2 * decoder.layers}`);
  }
  return layout;
}

/** The caches that a graph takes and gives, and its other inputs. @throws MODEL_NOT_GENERATIVE */
export function cacheSlots(session: Session, decoder: DecoderConfig): { caches: CacheSlot[]; others: GraphValue[] } {
  const outputs = new Set(session.outputs.map((output) => output.name));
  const caches: CacheSlot[] = [];
  const others: GraphValue[] = [];
  for (const input of session.inputs) {
    const cache = CACHE_INPUT.exec(input.name)?.[1];
    if (cache === undefined) others.push(input);
    else if (outputs.has(`present.${cache}`)) caches.push(cacheSlot(input, `present.${cache}`, decoder));
    else throw refusal(`it has no output present.${cache} for its input ${input.name}`);
  }
  return { caches, others };
}

function cacheSlot({ name, type, shape }: GraphValue, present: string, decoder: DecoderConfig): CacheSlot {
  if (type !== 'float32' && type !== 'float16') throw refusal(`its input ${name} is ${type}, not float32 or float16`);
  // ONNX Runtime gives an undeclared shape as [].
  if (shape.length !== 4 && shape.length !== 0) {
    throw refusal(`its input ${name} is [${shape.join(', ')}], not [batch, heads, positions, head size]`);
  }
  return {
    past: name,
    present,
    type,
    heads: agreed(name, 'heads', shape[1], decoder.keyValueHeads),
    headSize: agreed(name, 'values a head', shape[3], decoder.headSize),
  };
}

function agreed(name: string, what: string, declared: number | string | undefined, configured: number): number {
  if (typeof declared === 'number' && declared !== configured) {
    throw refusal(`its input ${name} has ${declared} ${what} where its configuration says ${configured}`);
  }
  return configured;
}

export function integerType({ name, type }: GraphValue): IntegerType {
  if (type !== 'int64' && type !== 'int32') throw refusal(`its input ${name} is ${type}, not int64`);
  return type;
}

function refusal(detail: string): HearthlendError {
  return new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
}
