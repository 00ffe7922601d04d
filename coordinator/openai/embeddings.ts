import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { ModelValue } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Embedding, OpenedModel } from '../../core/contract/serving.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import { promptsOf } from './completions.ts';
import { failureOf } from './generation.ts';
import { poolTexts } from './pooling.ts';
import type { Asking } from './ports.ts';
import { parseEmbedding } from './requests.ts';
import { sendJson } from './stream.ts';

/** Texts computed in one pass, and their tokens with what fills up the shorter ones. */
const BATCH_TEXTS = 16;
const BATCH_TOKENS = 4096;

/** POST /v1/embeddings: each text's vector, by a job of one pass for each few texts. */
export async function answerEmbeddings(asking: Asking, response: ServerResponse, body: Record<string, unknown>): Promise<void> {
  const { ports } = asking;
  const request = parseEmbedding(body);
  const opened = await ports.models.open(request.model);
  try {
    const embedding = await opened.embedding();
    const texts = promptsOf(request.input).map((text) => (typeof text === 'string' ? embedding.encode(text) : text));
    for (const ids of texts) {
      if (ids.length > embedding.maxTokens)
        throw new HearthlendError('TEXT_TOO_LONG', { length: ids.length, limit: embedding.maxTokens, unit: 'tokens' });
    }
    const vectors: Float32Array[] = [];
    for (const batch of batchesOf(texts)) vectors.push(...(await embed(asking, opened, embedding, batch)));
    const tokens = texts.reduce((sum, ids) => sum + ids.length, 0);
    const data = vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding:
        request.encoding_format === 'base64'
          ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
          : [...vector],
    }));
    sendJson(
      response,
      200,
      { object: 'list', data, model: request.model, usage: { prompt_tokens: tokens, total_tokens: tokens } },
      ports.limits.readMs,
    );
  } finally {
    opened.release();
  }
}

function batchesOf(texts: readonly number[][]): number[][][] {
  const batches: number[][][] = [];
  let batch: number[][] = [];
  let longest = 0;
  for (const ids of texts) {
    const full = batch.length >= BATCH_TEXTS || Math.max(longest, ids.length) * (batch.length + 1) > BATCH_TOKENS;
    if (full && batch.length > 0) {
      batches.push(batch);
      batch = [];
      longest = 0;
    }
    batch.push(ids);
    longest = Math.max(longest, ids.length);
  }
  return [...batches, batch];
}

async function embed(
  { ports, following, requester, signal }: Asking,
  opened: OpenedModel,
  embedding: Embedding,
  texts: readonly number[][],
): Promise<Float32Array[]> {
  const { intake } = ports;
  const jobId = `embd-${randomBytes(12).toString('hex')}`;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const leave = following.follow(jobId, { onOver: (job) => (job.state === 'done' ? resolve() : reject(failureOf(job))) });
  const onAbort = () => {
    intake.cancelJob(jobId).catch(() => undefined);
    reject(new HearthlendError('CANCELLED'));
  };
  promise.catch(() => undefined);
  signal.addEventListener('abort', onAbort);
  try {
    if (signal.aborted) throw new HearthlendError('CANCELLED');
    await intake.submitJob(
      {
        kind: 'onnx.run',
        model: { manifest: opened.manifest, files: opened.files },
        inputs: encodeSafetensors(inputsOf(opened.inputs, texts)),
        outputs: [embedding.output],
        limits: opened.limits,
        session: { intraOpThreads: 0, graphOptimization: 'all' },
      },
      { requester: requester.id, id: jobId },
    );
    if (signal.aborted) onAbort();
    await promise;
    const output = decodeSafetensors(await intake.outputs(jobId)).get(embedding.output);
    if (output === undefined) throw new HearthlendError('MODEL_NO_EMBEDDING', { detail: `it gave no ${embedding.output}` });
    return poolTexts(
      output,
      texts.map((ids) => ids.length),
      embedding,
    );
  } finally {
    leave();
    signal.removeEventListener('abort', onAbort);
  }
}

/** What an encoder of text takes, by the names that exporters give it. @throws MODEL_NO_EMBEDDING where it takes something else */
function inputsOf(inputs: readonly ModelValue[], texts: readonly number[][]): Tensors {
  const width = Math.max(...texts.map((ids) => ids.length));
  const rows = (value: (ids: readonly number[], column: number) => number) =>
    texts.flatMap((ids) => Array.from({ length: width }, (_, column) => value(ids, column)));
  const known: Record<string, (ids: readonly number[], column: number) => number> = {
    input_ids: (ids, column) => ids[column] ?? 0,
    attention_mask: (ids, column) => (column < ids.length ? 1 : 0),
    token_type_ids: () => 0,
    position_ids: (_, column) => column,
  };
  return new Map(
    inputs.map(({ name, type }): [string, Tensor] => {
      const value = known[name];
      if (value === undefined || (type !== 'int64' && type !== 'int32')) {
        throw new HearthlendError('MODEL_NO_EMBEDDING', { detail: `it takes ${name} (${type}), which is no part of a text` });
      }
      const values = rows(value);
      const data = type === 'int64' ? BigInt64Array.from(values, BigInt) : Int32Array.from(values);
      return [name, { type, shape: [texts.length, width], data: new Uint8Array(data.buffer) }];
    }),
  );
}
