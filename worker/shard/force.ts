import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { forcedDraw } from '../../core/contract/forced-draw.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import type { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { decoderFeeds } from './decoder-feeds.ts';
import { type DecoderLayout, readLayout } from './decoder-layout.ts';
import { failureOf } from './failure.ts';
import { logitRows, promptOf } from './generate.ts';
import { type Made, packOutputs } from './run.ts';
import type { Ort, Session } from './session.ts';
import { newElements } from './tensors.ts';

type ForceRequest = Extract<WorkerRequest, { type: 'force' }>;

/** Tokens of a pass of which every one's logits are looked at: 256 of a vocabulary of 150,000 take 150 MB. */
const FORCED_PIECE_TOKENS = 256;

/**
 * Checks claimed tokens instead of making any: one pass over prompt and tokens, in pieces, which gives the logits before each of them. The outputs say
 * by token what is drawn here (`drawn`, int64), how far the claimed one is from that and by what (`shift`, `low`, `high` and `logit`, float64; see
 * ForcedDraw).
 * @throws TENSOR_INVALID, INPUT_MISSING, INPUT_UNKNOWN, INPUT_MISMATCH, MODEL_NOT_GENERATIVE, RUN_FAILED, OUTPUT_TOO_LARGE
 */
export async function force(ort: Ort, session: Session, request: ForceRequest, body: Uint8Array): Promise<Made & { nearTies: number }> {
  const { decoder, sampling, tolerance } = request;
  const layout = readLayout(session, decoder);
  const { prompt, tokens } = forcedInputs(body);
  if (prompt.length + tokens.length > decoder.maxPositions) {
    const detail = `its ${prompt.length} tokens and ${tokens.length} more are beyond the model's ${decoder.maxPositions} positions`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'tokens', detail });
  }
  // The last token's successor is nobody's claim.
  const text = [...prompt, ...tokens].slice(0, -1);
  const drawn = new BigInt64Array(tokens.length);
  const found = { shift: new Float64Array(tokens.length), low: new Float64Array(tokens.length), high: new Float64Array(tokens.length) };
  const logit = new Float64Array(tokens.length);
  let nearTies = 0;
  const startedAt = performance.now();
  for await (const { from, rows } of passesOver(ort, session, layout, text, prompt.length - 1, request.stepwise)) {
    rows.forEach((logits, at) => {
      const index = from + at + 1 - prompt.length;
      const token = tokens[index] as number;
      const draw = forcedDraw(logits, sampling, index, token, tolerance);
      drawn[index] = BigInt(draw.drawn);
      found.shift[index] = draw.shift;
      found.low[index] = draw.low;
      found.high[index] = draw.high;
      logit[index] = draw.logit;
      if (draw.drawn !== token) nearTies += 1;
    });
  }
  const runMs = performance.now() - startedAt;
  const shape = [tokens.length];
  const blob: Tensors = new Map([['drawn', { type: 'int64', shape, data: new Uint8Array(drawn.buffer) }]]);
  for (const [name, values] of Object.entries({ ...found, logit }))
    blob.set(name, { type: 'float64', shape, data: new Uint8Array(values.buffer) });
  return { outputs: packOutputs(blob, request.outputBytes), runMs, nearTies };
}

/** The logits after each token of a text from the one numbered `first` on, piece by piece. What comes before it goes in without a look at its logits. */
async function* passesOver(ort: Ort, session: Session, layout: DecoderLayout, text: readonly number[], first: number, stepwise: boolean) {
  const { caches } = layout;
  const fetches = ['logits', ...caches.map(({ present }) => present)];
  let past: Record<string, OnnxValue> = Object.fromEntries(
    caches.map(({ past, type, heads, headSize }) => [past, new ort.Tensor(type, newElements(type, 0) as never, [1, heads, 0, headSize])]),
  );
  let size = FORCED_PIECE_TOKENS;
  for (let from = 0; from < text.length; ) {
    const most = stepwise && from >= first ? 1 : size;
    const piece = text.slice(from, Math.min(from + most, from < first ? first : text.length));
    const feeds = { ...decoderFeeds(ort, layout, from, piece, from < first ? 1 : piece.length), ...past };
    const results = await session.ort.run(feeds, fetches).catch((thrown) => {
      throw failureOf(thrown, 'RUN_FAILED');
    });
    if (from >= first) {
      const rows = logitRows(results.logits as OrtTensor | undefined);
      if (rows.length === 1 && piece.length > 1) {
        // It gives those after the last token alone, so each has to be the last one.
        size = 1;
        continue;
      }
      if (rows.length !== piece.length) {
        throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail: `it gives ${rows.length} rows of logits for ${piece.length} tokens` });
      }
      yield { from, rows };
    }
    past = Object.fromEntries(caches.map(({ past, present }) => [past, results[present] as OnnxValue]));
    from += piece.length;
  }
}

function forcedInputs(body: Uint8Array): { prompt: number[]; tokens: number[] } {
  const inputs = decodeSafetensors(body);
  const claimed = inputs.get('tokens');
  if (claimed === undefined) throw new HearthlendError('INPUT_MISSING', { name: 'tokens' });
  if (claimed.type !== 'int64' || claimed.shape.length !== 1 || claimed.shape[0] === 0) {
    const detail = `it is ${claimed.type} [${claimed.shape.join(', ')}] where int64 [n] with n ≥ 1 is wanted`;
    throw new HearthlendError('INPUT_MISMATCH', { name: 'tokens', detail });
  }
  inputs.delete('tokens');
  return { prompt: promptOf(inputs), tokens: Array.from(new BigInt64Array(new Uint8Array(claimed.data).buffer), Number) };
}
