import canonicalize from 'canonicalize';
import { z } from 'zod';

/** SHA-256 of some bytes, as 64 lower-case hex digits. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
export type Sha256 = z.infer<typeof Sha256>;

/** keccak-256 or any other 32-byte value as EIP-712 writes it. */
export const Bytes32 = z.string().regex(/^0x[0-9a-f]{64}$/);
export type Bytes32 = z.infer<typeof Bytes32>;

/** Bytes by digest, with their exact length. */
export const BlobRef = z.strictObject({ digest: Sha256, bytes: z.int().min(0) });
export type BlobRef = z.infer<typeof BlobRef>;

/** RFC 8785 canonical JSON: the one text that is hashed. Throws on what JSON can't carry (undefined, functions, NaN). */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}
