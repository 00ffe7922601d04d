import type { OnnxValue } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import type { GraphValue, WorkerRequest } from '../../core/contract/worker-messages.ts';
import { failureOf, listed } from './failure.ts';
import type { Ort, Session } from './session.ts';
import { fromOrtTensor, toOrtTensor } from './tensors.ts';

export type RunRequest = Extract<WorkerRequest, { type: 'run' }>;

/** What a request makes: a safetensors blob, and the time that the model itself took. */
export interface Made {
  outputs: Uint8Array;
  runMs: number;
}

/**
 * One pass. The outputs come in the order asked for, or the graph's own.
 * @throws TENSOR_INVALID, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, OUTPUT_UNKNOWN, RUN_FAILED, OUTPUT_TOO_LARGE
 */
export async function run(ort: Ort, session: Session, request: RunRequest, body: Uint8Array): Promise<Made> {
  const names = outputNames(session, request.outputs);
  const inputs = decodeSafetensors(body);
  checkInputs(session.inputs, inputs);
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, tensor] of inputs) feeds[name] = toOrtTensor(ort, tensor);
  const startedAt = performance.now();
  const results = await session.ort.run(feeds, names).catch((thrown) => {
    throw failureOf(thrown, 'RUN_FAILED');
  });
  const runMs = performance.now() - startedAt;
  return { outputs: packOutputs(new Map(names.map((name) => [name, fromOrtTensor(resultOf(results, name))])), request.outputBytes), runMs };
}

/** The tensors as one blob. @throws OUTPUT_TOO_LARGE, before anything is copied where the data alone passes the limit */
export function packOutputs(tensors: Tensors, limitBytes: number): Uint8Array {
  const tooLarge = () => new HearthlendError('OUTPUT_TOO_LARGE', { limitBytes });
  let dataBytes = 0;
  for (const tensor of tensors.values()) dataBytes += tensor.data.byteLength;
  if (dataBytes > limitBytes) throw tooLarge();
  const blob = encodeSafetensors(tensors);
  if (blob.byteLength > limitBytes) throw tooLarge();
  return blob;
}

function resultOf(results: Record<string, OnnxValue>, name: string) {
  const result = results[name];
  // An optional output that the graph did not make has no value to carry.
  if (result === undefined) throw new HearthlendError('RUN_FAILED', { detail: `it made no output ${name}` });
  return result;
}

function outputNames(session: Session, wanted: readonly string[]): string[] {
  const names = session.outputs.map((output) => output.name);
  if (wanted.length === 0) return names;
  const known = new Set(names);
  for (const name of wanted) if (!known.has(name)) throw new HearthlendError('OUTPUT_UNKNOWN', { name, names: listed(names) });
  return [...new Set(wanted)];
}

/** Whether the tensors are those that are declared. @throws INPUT_UNKNOWN, INPUT_MISSING, INPUT_MISMATCH */
export function checkInputs(declared: readonly GraphValue[], given: Tensors): void {
  const names = new Set(declared.map((input) => input.name));
  for (const name of given.keys()) {
    if (!names.has(name)) throw new HearthlendError('INPUT_UNKNOWN', { name, names: listed([...names]) });
  }
  for (const input of declared) {
    const tensor = given.get(input.name);
    if (tensor === undefined) throw new HearthlendError('INPUT_MISSING', { name: input.name });
    const detail = mismatch(input, tensor);
    if (detail !== undefined) throw new HearthlendError('INPUT_MISMATCH', { name: input.name, detail });
  }
}

/** Why a tensor doesn't fit what the graph declares; undefined where it does. ONNX Runtime gives an undeclared shape as [], like a scalar's. */
function mismatch(input: GraphValue, tensor: Tensor): string | undefined {
  if (tensor.type !== input.type) return `it is ${tensor.type}, the model wants ${input.type}`;
  if (input.shape.length === 0) return undefined;
  const fits =
    tensor.shape.length === input.shape.length &&
    input.shape.every((dimension, axis) => typeof dimension === 'string' || dimension === tensor.shape[axis]);
  return fits ? undefined : `its shape is [${tensor.shape.join(', ')}], the model wants [${input.shape.join(', ')}]`;
}
