import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { tokenLimit } from '../../core/contract/generation.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { sampleToken } from '../../core/contract/sampler.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import { NEAR_TIE_MARGIN, type WorkerRequest } from '../../core/contract/worker-messages.ts';
import { type DecoderLayout, readLayout } from './decoder-layout.ts';
import { type Made, packOutputs } from './run.ts';
import type { Session } from './session.ts';
import { Float16Array, type Floats } from './tensors.ts';

export type GenerateRequest = Extract<WorkerRequest, { type: 'generate' }>;

export interface Generated extends Made {
  tokensMade: number;
  nearTies: number;
}

/** The passes of one generation, each giving the logits after its last token; where the cache is kept is their affair. */
export interface Passes {
  /** The prompt. @throws RUN_FAILED, MODEL_NOT_GENERATIVE where it makes no cache of its length */
  first(prompt: readonly number[]): Promise<OnnxValue | undefined>;
  /** One more token. @throws RUN_FAILED */
  next(token: number): Promise<OnnxValue | undefined>;
}

/**
 * A decoder loop: the prompt in one pass, then a token a pass, with the cache kept where it is fastest. `onToken` is called as each is made.
 * Ends at a stop token, at the token limit, where the model's positions are used up, or between two tokens where it is told to.
 * @throws TENSOR_INVALID, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, MODEL_NOT_GENERATIVE, RUN_FAILED, OUTPUT_TOO_LARGE, OUTPUT_NOT_FINITE
 */
export async function generate(
  session: Session,
  openPasses: (layout: DecoderLayout, mostPositions: number) => Passes,
  request: GenerateRequest,
  body: Uint8Array,
  onToken: (token: number, index: number) => void,
  isToEnd: () => boolean = () => false,
): Promise<Generated> {
  const { decoder, sampling } = request;
  const layout = readLayout(session, decoder);
  const prompt = promptOf(decodeSafetensors(body));
  const limit = tokenLimit(prompt.length, request.maxNewTokens, decoder.maxPositions);
  if (limit < 1) {
    const detail = `its ${prompt.length} tokens leave no room within the model's ${decoder.maxPositions} positions`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'input_ids', detail });
  }
  const stopTokens = new Set(request.stopTokens);
  const tokens: number[] = [];
  let nearTies = 0;
  /** Whether one more is wanted. */
  const take = (logits: OnnxValue | undefined): boolean => {
    const last = lastLogits(logits as OrtTensor | undefined);
    if (request.finite === true) checkLogits(last);
    const { token, margin } = sampleToken(last, sampling, tokens.length);
    if (margin < NEAR_TIE_MARGIN) nearTies += 1;
    onToken(token, tokens.length);
    tokens.push(token);
    return !stopTokens.has(token) && tokens.length < limit;
  };

  const startedAt = performance.now();
  const passes = openPasses(layout, prompt.length + limit);
  let more = !isToEnd() && take(await passes.first(prompt));
  while (more && !isToEnd()) more = take(await passes.next(tokens.at(-1) as number));
  const runMs = performance.now() - startedAt;
  const made = BigInt64Array.from(tokens, BigInt);
  const blob = new Map([['tokens', { type: 'int64' as const, shape: [tokens.length], data: new Uint8Array(made.buffer) }]]);
  return { outputs: packOutputs(blob, request.outputBytes), runMs, tokensMade: tokens.length, nearTies };
}

/** The one prompt of a generation. @throws INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH */
export function promptOf(inputs: Tensors): number[] {
  const prompt = inputs.get('input_ids');
  if (prompt === undefined) throw new HearthlendError('INPUT_MISSING', { name: 'input_ids' });
  for (const name of inputs.keys()) if (name !== 'input_ids') throw new HearthlendError('INPUT_UNKNOWN', { name, names: 'input_ids' });
  if (prompt.type !== 'int64' || prompt.shape.length !== 2 || prompt.shape[0] !== 1 || prompt.shape[1] === 0) {
    const detail = `it is ${prompt.type} [${prompt.shape.join(', ')}] where int64 [1, n] with n ≥ 1 is wanted`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'input_ids', detail });
  }
  return Array.from(new BigInt64Array(new Uint8Array(prompt.data).buffer), Number);
}

/** A logit of −∞ is how a model rules a token out; +∞ and what is no number leave nothing to choose by. @throws OUTPUT_NOT_FINITE */
function checkLogits(logits: ArrayLike<number>): void {
  for (let id = 0; id < logits.length; id += 1) {
    const logit = logits[id] as number;
    if (logit < Number.POSITIVE_INFINITY) continue;
    throw new HearthlendError('OUTPUT_NOT_FINITE', { name: 'logits', found: Number.isNaN(logit) ? 'nan' : 'infinite' });
  }
}

/** The logits after the last token: the last row of [1, n, vocabulary]. */
function lastLogits(logits: OrtTensor | undefined): ArrayLike<number> {
  const { floats, vocabulary } = logitsOf(logits);
  return floats.subarray(floats.length - vocabulary);
}

/** The logits after each token that went in. @throws MODEL_NOT_GENERATIVE */
export function logitRows(logits: OrtTensor | undefined): ArrayLike<number>[] {
  const { floats, vocabulary } = logitsOf(logits);
  return Array.from({ length: floats.length / vocabulary }, (_, row) => floats.subarray(row * vocabulary, (row + 1) * vocabulary));
}

function logitsOf(logits: OrtTensor | undefined): { floats: Floats; vocabulary: number } {
  const vocabulary = logits?.dims.at(-1) ?? 0;
  if (logits === undefined || logits.dims.length !== 3 || vocabulary === 0 || !(logits.type === 'float32' || logits.type === 'float16')) {
    const found = logits === undefined ? 'missing' : `${logits.type} [${logits.dims.join(', ')}]`;
    throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: `its logits are ${found}, not floats of [1, n, vocabulary]` });
  }
  const data = logits.data as Float32Array;
  return { floats: logits.type === 'float32' ? data : new Float16Array(data.buffer, data.byteOffset, data.length), vocabulary };
}
