import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { tokenLimit } from '../../core/contract/generation.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { sampleToken } from '../../core/contract/sampler.ts';
import type { GraphValue } from '../../core/contract/worker-messages.ts';
import { NEAR_TIE_MARGIN, type WorkerRequest } from '../../core/contract/worker-messages.ts';
import { failureOf } from './failure.ts';
import { Float16Array, type Ort } from './onnxruntime.ts';
import { type Made, packOutputs } from './run.ts';
import type { Session } from './sessions.ts';
import { toOrtTensor } from './tensors.ts';

export type GenerateRequest = Extract<WorkerRequest, { type: 'generate' }>;

export interface Generated extends Made {
  tokensMade: number;
  nearTies: number;
}

/** How a decoder in Optimum's layout takes its cache: input `past_key_values.N.key|value`, output `present.N.key|value`. */
interface Layout {
  caches: { past: GraphValue; present: string }[];
  attentionMask: boolean;
  positionIds: boolean;
}

const CACHE_INPUT = /^past_key_values\.(\d+\.(?:key|value))$/;

/**
 * A decoder loop: the prompt in one pass, then a token a pass, each pass's cache fed to the next as it is. `onToken` is called as each is made.
 * Ends at a stop token, at the token limit, or where the model's positions are used up.
 * @throws TENSOR_INVALID, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, MODEL_NOT_GENERATIVE, RUN_FAILED, OUTPUT_TOO_LARGE
 */
export async function generate(
  ort: Ort,
  session: Session,
  request: GenerateRequest,
  body: Uint8Array,
  onToken: (token: number, index: number) => void,
): Promise<Generated> {
  const { decoder, sampling } = request;
  const layout = layoutOf(session, decoder.layers);
  const prompt = promptOf(body);
  const limit = tokenLimit(prompt.length, request.maxNewTokens, decoder.maxPositions);
  if (limit < 1) {
    const detail = `its ${prompt.length} tokens leave no room within the model's ${decoder.maxPositions} positions`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'input_ids', detail });
  }

  const outputs = ['logits', ...layout.caches.map((cache) => cache.present)];
  const stopTokens = new Set(request.stopTokens);
  const tokens: number[] = [];
  let nearTies = 0;
  let ids = prompt;
  let past = 0;
  let feeds: Record<string, OnnxValue> = {};
  for (const { past: input } of layout.caches) {
    feeds[input.name] = toOrtTensor(ort, {
      type: input.type,
      shape: [1, decoder.keyValueHeads, 0, decoder.headSize],
      data: new Uint8Array(0),
    });
  }
  const startedAt = performance.now();
  while (true) {
    feeds.input_ids = new ort.Tensor('int64', ids, [1, ids.length]);
    if (layout.attentionMask) {
      const seen = past + ids.length;
      feeds.attention_mask = new ort.Tensor('int64', new BigInt64Array(seen).fill(1n), [1, seen]);
    }
    if (layout.positionIds) {
      const first = past;
      feeds.position_ids = new ort.Tensor(
        'int64',
        new BigInt64Array(ids.length).map((_, at) => BigInt(first + at)),
        [1, ids.length],
      );
    }
    const results = await session.ort.run(feeds, outputs).catch((thrown) => {
      throw failureOf(thrown, 'RUN_FAILED');
    });
    past += ids.length;
    const { token, margin } = sampleToken(lastLogits(results.logits), sampling, tokens.length);
    if (margin < NEAR_TIE_MARGIN) nearTies += 1;
    onToken(token, tokens.length);
    tokens.push(token);
    if (stopTokens.has(token) || tokens.length >= limit) break;
    ids = BigInt64Array.of(BigInt(token));
    feeds = Object.fromEntries(layout.caches.map((cache) => [cache.past.name, results[cache.present] as OnnxValue]));
  }
  const runMs = performance.now() - startedAt;
  const made = BigInt64Array.from(tokens, BigInt);
  const blob = new Map([['tokens', { type: 'int64' as const, shape: [tokens.length], data: new Uint8Array(made.buffer) }]]);
  return { outputs: packOutputs(blob, request.outputBytes), runMs, tokensMade: tokens.length, nearTies };
}

function promptOf(body: Uint8Array): BigInt64Array<ArrayBufferLike> {
  const inputs = decodeSafetensors(body);
  const prompt = inputs.get('input_ids');
  if (prompt === undefined) throw new HearthlendError('INPUT_MISSING', { name: 'input_ids' });
  for (const name of inputs.keys()) if (name !== 'input_ids') throw new HearthlendError('INPUT_UNKNOWN', { name, names: 'input_ids' });
  if (prompt.type !== 'int64' || prompt.shape.length !== 2 || prompt.shape[0] !== 1 || prompt.shape[1] === 0) {
    const detail = `it is ${prompt.type} [${prompt.shape.join(', ')}] where int64 [1, n] with n ≥ 1 is wanted`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'input_ids', detail });
  }
  return new BigInt64Array(new Uint8Array(prompt.data).buffer);
}

function layoutOf(session: Session, layers: number): Layout {
  const refuse = (detail: string) => new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
  const outputs = new Set(session.outputs.map((output) => output.name));
  if (!outputs.has('logits')) throw refuse('it has no output logits');
  const layout: Layout = { caches: [], attentionMask: false, positionIds: false };
  let inputIds = false;
  for (const input of session.inputs) {
    const cache = CACHE_INPUT.exec(input.name)?.[1];
    if (cache !== undefined) {
      const present = `present.${cache}`;
      if (!outputs.has(present)) throw refuse(`it has no output ${present} for its input ${input.name}`);
      layout.caches.push({ past: input, present });
    } else if (input.name === 'input_ids') inputIds = true;
    else if (input.name === 'attention_mask') layout.attentionMask = true;
    else if (input.name === 'position_ids') layout.positionIds = true;
    else throw refuse(`its input ${input.name} is none that such a decoder has`);
    if (cache === undefined && input.type !== 'int64') throw refuse(`its input ${input.name} is ${input.type}, not int64`);
  }
  if (!inputIds) throw refuse('it has no input input_ids');
  if (layout.caches.length !== 2 * layers)
    throw refuse(`it has ${layout.caches.length} cache inputs where ${layers} layers need ${2 * layers}`);
  return layout;
}

/** The logits after the last token: the last row of [1, n, vocabulary]. */
function lastLogits(logits: OrtTensor | undefined): ArrayLike<number> {
  const vocabulary = logits?.dims.at(-1) ?? 0;
  if (logits === undefined || logits.dims.length !== 3 || vocabulary === 0 || !(logits.type === 'float32' || logits.type === 'float16')) {
    const found = logits === undefined ? 'missing' : `${logits.type} [${logits.dims.join(', ')}]`;
    throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: `its logits are ${found}, not floats of [1, n, vocabulary]` });
  }
  const data = logits.data as Float32Array;
  const floats = logits.type === 'float32' ? data : new Float16Array(data.buffer, data.byteOffset, data.length);
  return floats.subarray(data.length - vocabulary);
}
