import { HearthlendError } from './errors.ts';
import type { ModelValue } from './jobs.ts';
import { elementCount, TENSOR_TYPES, type Tensor, type Tensors } from './tensor.ts';

/** Most parts of a batch: each is a shard. */
export const MAX_PARTS = 1024;

/**
 * How many rows a batch has, where it can be split along them: every input begins with the same named dimension, and every output too, so that what
 * one row gives can't depend on how many there are beside it as far as the model says. Null, and why, where it can't be.
 */
export function batchRows(
  tensors: Tensors,
  inputs: readonly ModelValue[],
  outputs: readonly ModelValue[],
): { rows: number } | { rows: null; detail: string } {
  const cannot = (detail: string) => ({ rows: null, detail });
  if (inputs.length === 0) return cannot('the model has no inputs');
  const [first] = inputs;
  const name = first?.shape?.[0];
  if (typeof name !== 'string') return cannot(`the first dimension of ${first?.name} is no named one`);
  const fixed = [...inputs, ...outputs].find(({ shape }) => shape?.[0] !== name);
  if (fixed !== undefined) return cannot(`${fixed.name} does not begin with the dimension ${name}`);
  const rows = tensors.get(first?.name ?? '')?.shape[0];
  const uneven = [...tensors].find(([, { shape }]) => shape[0] !== rows);
  if (rows === undefined || uneven !== undefined) return cannot(`the inputs have different numbers of rows`);
  return { rows };
}

/** A batch in so many parts of rows that follow each other, the longer ones first: the same parts each time. @throws BATCH_UNSPLITTABLE */
export function splitBatch(tensors: Tensors, rows: number, parts: number): Tensors[] {
  if (parts < 1 || parts > Math.min(rows, MAX_PARTS)) {
    throw new HearthlendError('BATCH_UNSPLITTABLE', { parts, detail: `there are ${rows} rows, and ${MAX_PARTS} parts at most` });
  }
  const split: Tensors[] = [];
  let from = 0;
  for (let part = 0; part < parts; part += 1) {
    const count = Math.floor(rows / parts) + (part < rows % parts ? 1 : 0);
    split.push(new Map([...tensors].map(([name, tensor]) => [name, rowsOf(tensor, from, count)])));
    from += count;
  }
  return split;
}

/** Parts put together again, in their order. @throws TENSOR_INVALID where they don't belong together */
export function joinBatch(parts: readonly Tensors[]): Tensors {
  const [first] = parts;
  if (first === undefined) throw new HearthlendError('TENSOR_INVALID', { name: '', detail: 'there is nothing to put together' });
  if (parts.length === 1) return first;
  return new Map([...first].map(([name, tensor]) => [name, joinRows(name, tensor, parts)]));
}

function rowsOf({ type, shape, data }: Tensor, from: number, count: number): Tensor {
  const rest = shape.slice(1);
  const rowBytes = elementCount(rest) * TENSOR_TYPES[type].bytes;
  return { type, shape: [count, ...rest], data: data.subarray(from * rowBytes, (from + count) * rowBytes) };
}

function joinRows(name: string, first: Tensor, parts: readonly Tensors[]): Tensor {
  const rest = first.shape.slice(1);
  const tensors = parts.map((part) => {
    const tensor = part.get(name);
    const fits =
      tensor !== undefined && tensor.type === first.type && tensor.shape.length > 0 && tensor.shape.slice(1).join() === rest.join();
    if (!fits) throw new HearthlendError('TENSOR_INVALID', { name, detail: 'the parts of the batch do not have it in the same form' });
    return tensor;
  });
  const data = new Uint8Array(tensors.reduce((bytes, tensor) => bytes + tensor.data.byteLength, 0));
  let at = 0;
  for (const tensor of tensors) {
    data.set(tensor.data, at);
    at += tensor.data.byteLength;
  }
  return { type: first.type, shape: [tensors.reduce((rows, tensor) => rows + (tensor.shape[0] ?? 0), 0), ...rest], data };
}
