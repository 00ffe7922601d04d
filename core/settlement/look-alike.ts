import type { Address } from '../contract/receipt.ts';

/** What people compare of an address, if anything: so many characters at either end. Whoever wants to be mistaken for another makes these the same. */
const COMPARED = 4;

/** A known address that begins and ends as `to` does and is another; null where there is none, or `to` is known itself. Pure. */
export function lookAlike(to: Address, known: readonly Address[]): Address | null {
  const ends = (address: Address) => `${address.slice(2, 2 + COMPARED)}${address.slice(-COMPARED)}`.toLowerCase();
  const same = (address: Address) => address.toLowerCase() === to.toLowerCase();
  if (known.some(same)) return null;
  return known.find((address) => ends(address) === ends(to)) ?? null;
}
