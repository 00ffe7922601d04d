import type { TensorType } from './tensor.ts';

/** What of a float's bits is its exponent, and what its fraction. All ones in the exponent: infinite, or with a fraction no number. IEEE 754. */
const FLOATS = {
  float16: { words: Uint16Array, every: 1, exponent: 0x7c00, fraction: 0x03ff },
  float32: { words: Uint32Array, every: 1, exponent: 0x7f80_0000, fraction: 0x007f_ffff },
  // Little-endian: the upper half comes second.
  float64: { words: Uint32Array, every: 2, exponent: 0x7ff0_0000, fraction: 0x000f_ffff },
} as const;

/**
 * The first in a tensor's bytes that is infinite or no number; null where all are finite, as whole numbers are. The bytes are whole elements.
 * Pure.
 */
export function findNonFinite(type: TensorType, data: Uint8Array): 'nan' | 'infinite' | null {
  if (type !== 'float16' && type !== 'float32' && type !== 'float64') return null;
  const { words, every, exponent, fraction } = FLOATS[type];
  const { BYTES_PER_ELEMENT } = words;
  const { buffer, byteOffset, byteLength } = data.byteOffset % BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  const bits = new words(buffer as ArrayBuffer, byteOffset, byteLength / BYTES_PER_ELEMENT);
  for (let at = every - 1; at < bits.length; at += every) {
    const word = bits[at] as number;
    if ((word & exponent) !== exponent) continue;
    const rest = (word & fraction) !== 0 || (every === 2 && bits[at - 1] !== 0);
    return rest ? 'nan' : 'infinite';
  }
  return null;
}
