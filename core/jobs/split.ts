import { batchRows, MAX_PARTS, splitBatch } from '../contract/batch.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { DescribedModel, JobRequest } from '../contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../contract/safetensors.ts';

type RunRequest = Extract<JobRequest, { kind: 'onnx.run' }>;

/** Inputs from this size on are split without being told to, where the model says that it takes batches. */
const LARGE_BYTES = 64 * 2 ** 20;
const PART_BYTES = 32 * 2 ** 20;
/** Names that exporters give to the dimension of a batch, whose rows know nothing of each other. */
const BATCH = /^(n|batch|batch[_-]?size)$/i;

/**
 * A job whose inputs are a batch as one of several shards. @param parts null: where that is worth it and safe
 * @throws BATCH_UNSPLITTABLE
 */
export function splitJob(
  request: RunRequest,
  { inputs, outputs }: Pick<DescribedModel, 'inputs' | 'outputs'>,
  parts: number | null,
): RunRequest {
  const large = request.inputs.byteLength >= LARGE_BYTES;
  if (parts === 1 || (parts === null && (!large || !BATCH.test(String(inputs[0]?.shape?.[0] ?? ''))))) return request;
  const tensors = decodeSafetensors(request.inputs);
  const wanted = request.outputs.length === 0 ? outputs : outputs.filter(({ name }) => request.outputs.includes(name));
  const batch = batchRows(tensors, inputs, wanted);
  if (batch.rows === null) {
    if (parts === null) return request;
    throw new HearthlendError('BATCH_UNSPLITTABLE', { parts, detail: batch.detail });
  }
  const count = parts ?? Math.min(batch.rows, MAX_PARTS, Math.ceil(request.inputs.byteLength / PART_BYTES));
  if (count < 2) return request;
  const [first, ...further] = splitBatch(tensors, batch.rows, count).map((part) => encodeSafetensors(part));
  return first === undefined ? request : { ...request, inputs: first, further };
}
