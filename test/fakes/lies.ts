import { createHash } from 'node:crypto';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Shard } from '../../core/contract/shard.ts';
import type { Tensor } from '../../core/contract/tensor.ts';

/** In which ways a worker may lie about what it computed. */
export const LIARS = [
  'random output',
  'input returned unchanged',
  'skipped layers',
  'int8 instead of fp32',
  'a replayed old answer',
  'a copied commitment',
  'honest until trusted',
] as const;
export type Liar = (typeof LIARS)[number];

export type Random = () => number;

/** Numbers in [0, 1), the same each time: mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The same numbers for everybody who is asked the same: what accomplices agree on. */
export function agreedRandom(shard: Shard): Random {
  return seededRandom(createHash('sha256').update(shard.inputs.digest).digest().readUInt32LE(0));
}

/** Something of the right answer's form. */
export function randomLike(shard: Shard, right: Uint8Array, random: Random): Uint8Array {
  if (shard.kind === 'onnx.generate') {
    const count = shard.maxNewTokens;
    return encodeSafetensors(new Map([['tokens', int64(Array.from({ length: count }, () => 1 + Math.floor(2047 * random())))]]));
  }
  return encodeSafetensors(
    new Map(
      Array.from(decodeSafetensors(right), ([name, { type, shape, data }]): [string, Tensor] => {
        if (type !== 'float32') return [name, { type, shape, data: data.map((byte) => byte ^ 1) }];
        const honest = new Float32Array(Uint8Array.from(data).buffer);
        const size = Math.sqrt(honest.reduce((sum, value) => sum + value * value, 0) / honest.length) || 1;
        const values = honest.map(() => size * Math.sqrt(12) * (random() - 0.5));
        return [name, { type, shape, data: new Uint8Array(values.buffer) }];
      }),
    ),
  );
}

/** The stage's input as its output, or the prompt as what follows it; null where nothing of the input has the output's form. */
export function inputReturned(shard: Shard, given: Uint8Array, right: Uint8Array): Uint8Array | null {
  const inputs = decodeSafetensors(given);
  if (shard.kind === 'onnx.generate') {
    const { data } = inputs.get('input_ids') as Tensor;
    const prompt = Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number).filter((id) => id !== 0);
    const { maxNewTokens } = shard;
    return encodeSafetensors(
      new Map([['tokens', int64(Array.from({ length: maxNewTokens }, (_, at) => prompt[at % prompt.length] as number))]]),
    );
  }
  const [output] = decodeSafetensors(right);
  if (output === undefined) return null;
  const [name, { type, shape }] = output;
  const same = [...inputs.values()].find((input) => input.type === type && input.shape.join() === shape.join());
  return same === undefined ? null : encodeSafetensors(new Map([[name, same]]));
}

function int64(values: number[]): Tensor {
  return { type: 'int64', shape: [values.length], data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}
