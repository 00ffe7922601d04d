import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { sharedInput } from '../../core/contract/stages.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import type { GraphValue, WorkerRequest } from '../../core/contract/worker-messages.ts';
import { type CacheSlot, cacheSlots, type IntegerType, integerType } from './decoder-layout.ts';
import { listed } from './failure.ts';
import { checkInputs, type Made, packOutputs } from './run.ts';
import type { Ort, Session } from './session.ts';
import { fromOrtTensor, toOrtTensor } from './tensors.ts';

export type StepRequest = Extract<WorkerRequest, { type: 'step' }>;

/** Passes over a stage with its cache; where that is kept is their affair. */
export interface StagePasses {
  readonly length: number;
  many(feeds: Record<string, OnnxValue>, count: number): Promise<Record<string, OnnxValue>>;
  one(feeds: Record<string, OnnxValue>): Promise<Record<string, OnnxValue>>;
}

/** How a stage is called: its caches, what it is handed, and what it makes for itself of the number of tokens. */
export interface StageLayout {
  caches: CacheSlot[];
  handed: GraphValue[];
  made: { name: string; type: IntegerType | 'bool'; shape: GraphValue['shape'] }[];
  gives: string[];
}

/** Reads it from the stage's own inputs and outputs. @throws MODEL_NOT_GENERATIVE */
export function readStage(session: Session, decoder: DecoderConfig): StageLayout {
  const { caches, others } = cacheSlots(session, decoder);
  const presents = new Set(caches.map(({ present }) => present));
  const layout: StageLayout = { caches, handed: [], made: [], gives: [] };
  for (const input of others) {
    if (!sharedInput(input.name)) layout.handed.push(input);
    else layout.made.push({ ...input, type: input.name === 'use_cache_branch' ? 'bool' : integerType(input) });
  }
  for (const { name } of session.outputs) if (!presents.has(name)) layout.gives.push(name);
  if (layout.gives.length === 0) throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: 'it gives nothing but its cache' });
  return layout;
}

/**
 * One step: some tokens more go through the stage, which keeps their cache. Of logits only the last token's are given.
 * @throws TENSOR_INVALID, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, RUN_FAILED, MODEL_NOT_GENERATIVE, OUTPUT_TOO_LARGE
 */
export async function step(ort: Ort, layout: StageLayout, passes: StagePasses, request: StepRequest, body: Uint8Array): Promise<Made> {
  const inputs = decodeSafetensors(body);
  checkInputs(layout.handed, inputs);
  const { tokens } = request;
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, tensor] of inputs) feeds[name] = toOrtTensor(ort, tensor);
  for (const { name, type, shape } of layout.made) feeds[name] = shared(ort, name, type, shape, passes.length, tokens);
  const startedAt = performance.now();
  const results = tokens === 1 ? await passes.one(feeds) : await passes.many(feeds, tokens);
  const runMs = performance.now() - startedAt;
  const outputs: Tensors = new Map(layout.gives.map((name) => [name, given(results, name, layout.gives)]));
  return { outputs: packOutputs(outputs, request.outputBytes), runMs };
}

function given(results: Record<string, OnnxValue>, name: string, names: readonly string[]): Tensor {
  const result = results[name] as OrtTensor | undefined;
  if (result === undefined) throw new HearthlendError('RUN_FAILED', { detail: `it made no output ${name} of ${listed(names)}` });
  const tensor = fromOrtTensor(result);
  return name === 'logits' ? lastRow(tensor) : tensor;
}

function lastRow(tensor: Tensor): Tensor {
  const rows = tensor.shape.at(-2) ?? 0;
  if (tensor.shape.length !== 3 || tensor.shape[0] !== 1 || rows === 0) {
    const detail = `its logits are ${tensor.type} [${tensor.shape.join(', ')}], not floats of [1, n, vocabulary]`;
    throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
  }
  const rowBytes = tensor.data.byteLength / rows;
  return { type: tensor.type, shape: [1, 1, tensor.shape[2] as number], data: tensor.data.subarray(tensor.data.byteLength - rowBytes) };
}

/** What every worker makes for itself. */
function shared(ort: Ort, name: string, type: IntegerType | 'bool', shape: GraphValue['shape'], past: number, tokens: number): OnnxValue {
  if (type === 'bool') return new ort.Tensor('bool', Uint8Array.of(past > 0 ? 1 : 0), [1]);
  const whole = (values: number[], dims: readonly number[]) =>
    type === 'int32'
      ? new ort.Tensor('int32', Int32Array.from(values), dims)
      : new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
  if (name === 'attention_mask') {
    // As long as the text, and made for each token.
    const seen = past + tokens;
    return type === 'int32'
      ? new ort.Tensor('int32', new Int32Array(seen).fill(1), [1, seen])
      : new ort.Tensor('int64', new BigInt64Array(seen).fill(1n), [1, seen]);
  }
  if (name === 'position_ids')
    return whole(
      Array.from({ length: tokens }, (_, at) => past + at),
      [1, tokens],
    );
  return whole(
    [1],
    shape.map(() => 1),
  );
}
