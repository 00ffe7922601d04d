import { randomBytes } from 'node:crypto';

/** Uniform in [0, 1) with 48 bits, and not to be guessed from what came before, as Math.random's next value is. */
export function unpredictable(): number {
  return randomBytes(6).readUIntBE(0, 6) / 2 ** 48;
}
