import { hashMessage, recoverAddress } from 'ethers';
import { z } from 'zod';
import type { Bytes32 } from './digest.ts';
import { Address, Signature } from './receipt.ts';

/** A worker's word that another key takes the place of its own: the same machine under a new one. */
export const Succession = z.strictObject({ from: Address, to: Address, signature: Signature });
export type Succession = z.infer<typeof Succession>;

/** So many keys one after the other are carried along, each with its word for the next. */
export const MAX_SUCCESSIONS = 16;

/** What the key that goes signs (EIP-191). */
export function successionDigest({ from, to }: Pick<Succession, 'from' | 'to'>): Bytes32 {
  return hashMessage(`Hearthlend worker ${from.toLowerCase()}\nis followed by ${to.toLowerCase()}`);
}

/** Whether the key that goes said so. */
export function isSigned({ from, to, signature }: Succession): boolean {
  if (same(from, to)) return false;
  try {
    return same(recoverAddress(successionDigest({ from, to }), signature), from);
  } catch {
    return false;
  }
}

/** The end of `successions` that leads from one worker to another, each step signed by the key that goes; null where none does. */
export function pathBetween(successions: readonly Succession[], from: Address, to: Address): Succession[] | null {
  const start = successions.findIndex((each) => same(each.from, from));
  if (start < 0) return null;
  const path = successions.slice(start);
  const linked = path.every((each, at) => isSigned(each) && same(each.to, path[at + 1]?.from ?? to));
  return linked ? path : null;
}

function same(a: Address, b: Address): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
