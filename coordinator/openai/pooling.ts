import { HearthlendError } from '../../core/contract/errors.ts';
import type { Embedding } from '../../core/contract/serving.ts';
import type { Tensor } from '../../core/contract/tensor.ts';

/**
 * One vector for each text of a batch. Source: sentence_transformers/models/Pooling.py and Normalize.py in UKPLab/sentence-transformers.
 * @param tensor float32 or float16: [texts, tokens, width] where it is to be pooled, [texts, width] where the graph has done it
 * @param lengths tokens of each text; what follows in its row is padding
 * @throws OUTPUT_NOT_FINITE, MODEL_NO_EMBEDDING where it has another form
 */
export function poolTexts(
  tensor: Tensor,
  lengths: readonly number[],
  { output, pooling, normalize }: Pick<Embedding, 'output' | 'pooling' | 'normalize'>,
): Float32Array[] {
  const { shape } = tensor;
  const [texts, tokens = 0] = shape;
  const width = shape.at(-1) ?? 0;
  if (shape.length !== (pooling === 'none' ? 2 : 3) || texts !== lengths.length || width < 1) {
    throw new HearthlendError('MODEL_NO_EMBEDDING', { detail: `its ${output} is ${tensor.type}[${shape}]` });
  }
  const values = floatsOf(tensor, output);
  return lengths.map((length, text) => {
    const at = (token: number) => values.subarray((text * tokens + token) * width, (text * tokens + token + 1) * width);
    const vector =
      pooling === 'none' ? values.slice(text * width, (text + 1) * width) : pooling === 'cls' ? at(0).slice() : mean(at, length, width);
    if (!vector.every(Number.isFinite))
      throw new HearthlendError('OUTPUT_NOT_FINITE', { name: output, found: vector.some(Number.isNaN) ? 'nan' : 'infinite' });
    return normalize ? unit(vector) : vector;
  });
}

function mean(at: (token: number) => Float32Array, length: number, width: number): Float32Array {
  const sums = new Float64Array(width);
  for (let token = 0; token < length; token += 1) {
    const row = at(token);
    for (let axis = 0; axis < width; axis += 1) sums[axis] = (sums[axis] as number) + (row[axis] as number);
  }
  return Float32Array.from(sums, (sum) => sum / length);
}

function unit(vector: Float32Array): Float32Array {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return norm === 0 ? vector : vector.map((value) => value / norm);
}

function floatsOf({ type, data }: Tensor, output: string): Float32Array {
  const aligned = data.slice().buffer;
  if (type === 'float32') return new Float32Array(aligned);
  if (type === 'float16') return Float32Array.from(new Uint16Array(aligned), halfToNumber);
  throw new HearthlendError('MODEL_NO_EMBEDDING', { detail: `its ${output} is of type ${type}` });
}

/** IEEE 754 binary16. */
function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
