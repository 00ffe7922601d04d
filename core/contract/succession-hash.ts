// Apart from succession.ts, so that what only carries them (the screen) doesn't carry ethers.
import { hashMessage, recoverAddress } from 'ethers';
import type { Bytes32 } from './digest.ts';
import type { Address } from './receipt.ts';
import type { Succession } from './succession.ts';

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
