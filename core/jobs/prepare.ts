import { HearthlendError } from '../contract/errors.ts';
import type { DescribedModel, JobRequest, ModelValue } from '../contract/jobs.ts';
import type { DecoderConfig } from '../contract/model.ts';
import { encodeSafetensors } from '../contract/safetensors.ts';
import type { Tensors } from '../contract/tensor.ts';
import { WORKER_FRAME_LIMITS } from '../contract/worker-messages.ts';
import { readNpz } from './npz.ts';

/** What a job of the user's own is made of. */
export interface JobPlan {
  modelPath: string;
  inputsPath: string;
  /** Output names wanted, in order; empty: all of them. */
  outputs?: string[];
  /** 0: as many as the worker was given. */
  threads?: number;
  wallMs?: number;
  /** Of a text: how many tokens are made of it, at most; 256 where left out. */
  maxNewTokens?: number;
}

/** What a decoder is told beside its inputs. */
export interface DecoderPlan {
  decoder: DecoderConfig;
  stopTokens: number[];
}

export interface PreparePorts {
  describeModel(path: string): Promise<DescribedModel>;
  /** Memory of this machine, of which a job may take MEMORY_SHARE. */
  memoryBytes: number;
}

const DEFAULT_WALL_MS = 3_600_000;
const DEFAULT_NEW_TOKENS = 256;
/** The rest is for the system and the user. */
const MEMORY_SHARE = 0.75;

/**
 * A model file and an .npz of inputs as a job of kind `onnx.run`, checked before anything is started.
 * @throws what readNpz and describeModel throw, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, OUTPUT_UNKNOWN, TENSOR_TOO_LARGE
 */
export async function prepareJob(plan: JobPlan, ports: PreparePorts): Promise<JobRequest> {
  const described = await ports.describeModel(plan.modelPath);
  const tensors = await readInputs(plan);
  checkInputs(tensors, described.inputs);
  const outputs = plan.outputs ?? [];
  const names = described.outputs.map(({ name }) => name);
  const unknown = outputs.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new HearthlendError('OUTPUT_UNKNOWN', { name: unknown, names: names.join(', ') });
  const inputs = encodeSafetensors(tensors);
  if (inputs.byteLength > WORKER_FRAME_LIMITS.bodyBytes) {
    throw new HearthlendError('TENSOR_TOO_LARGE', { bytes: inputs.byteLength, limit: WORKER_FRAME_LIMITS.bodyBytes });
  }
  return { kind: 'onnx.run', ...common(described, plan, ports), inputs, outputs };
}

/**
 * A decoder and an .npz with nothing but `input_ids` as a job of kind `onnx.generate`, greedy.
 * @throws what readNpz and describeModel throw, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH
 */
export async function prepareGeneration(plan: JobPlan, { decoder, stopTokens }: DecoderPlan, ports: PreparePorts): Promise<JobRequest> {
  const described = await ports.describeModel(plan.modelPath);
  const tensors = await readInputs(plan);
  checkInputs(tensors, [{ name: 'input_ids', type: 'int64', shape: [1, 'tokens'] }]);
  return {
    kind: 'onnx.generate',
    ...common(described, plan, ports),
    ...{ inputs: encodeSafetensors(tensors), decoder, stopTokens, sampling: { method: 'greedy' } },
    maxNewTokens: plan.maxNewTokens ?? DEFAULT_NEW_TOKENS,
  };
}

/** Whether these inputs are a text for a decoder to go on with: its caches are not among them. */
export async function isText(plan: JobPlan, inputs: readonly ModelValue[]): Promise<boolean> {
  if (!inputs.some(({ name }) => name.startsWith('past_key_values.'))) return false;
  const tensors = await readInputs(plan);
  return tensors.size === 1 && tensors.has('input_ids');
}

function readInputs({ inputsPath }: JobPlan): Promise<Tensors> {
  return readNpz(inputsPath, WORKER_FRAME_LIMITS.bodyBytes);
}

function common({ manifest, files }: DescribedModel, plan: JobPlan, { memoryBytes }: PreparePorts) {
  return {
    model: { manifest, files },
    limits: {
      wallMs: plan.wallMs ?? DEFAULT_WALL_MS,
      memoryBytes: Math.max(1, Math.floor(memoryBytes * MEMORY_SHARE)),
      outputBytes: WORKER_FRAME_LIMITS.bodyBytes,
    },
    session: { intraOpThreads: plan.threads ?? 0, graphOptimization: 'all' as const },
  };
}

/**
 * Whether tensors fit a model's declared inputs, by the rules of ONNX Runtime: a declared scalar takes any shape, a named dimension any size.
 * @throws INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH
 */
function checkInputs(tensors: Tensors, inputs: readonly ModelValue[]): void {
  const names = inputs.map(({ name }) => name);
  for (const name of tensors.keys()) {
    if (!names.includes(name)) throw new HearthlendError('INPUT_UNKNOWN', { name, names: names.join(', ') });
  }
  for (const { name, type, shape } of inputs) {
    const tensor = tensors.get(name);
    if (tensor === undefined) throw new HearthlendError('INPUT_MISSING', { name });
    const mismatch = (detail: string) => new HearthlendError('INPUT_MISMATCH', { name, detail });
    if (type !== null && tensor.type !== type) throw mismatch(`it is ${tensor.type} where the model takes ${type}`);
    if (shape === null || shape.length === 0) continue;
    const fits =
      tensor.shape.length === shape.length && shape.every((size, axis) => typeof size !== 'number' || size === tensor.shape[axis]);
    if (!fits) throw mismatch(`its shape is ${shapeText(tensor.shape)} where the model takes ${shapeText(shape)}`);
  }
}

function shapeText(shape: ReadonlyArray<number | string | null>): string {
  return `[${shape.map((size) => size ?? '?').join(', ')}]`;
}
