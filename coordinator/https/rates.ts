/** How often one address may ask: so many at once, and so many more each second. */
export interface Rate {
  atOnce: number;
  perSecond: number;
}

/** Addresses that are told apart; beyond that, those that asked longest ago are forgotten. */
const MAX_ADDRESSES = 10_000;

/** Says whether another request of an address is within the rate. `now` in ms of a clock that only grows. */
export function createRates({ atOnce, perSecond }: Rate): (address: string, now: number) => boolean {
  const seen = new Map<string, { left: number; at: number }>();
  return (address, now) => {
    const last = seen.get(address) ?? { left: atOnce, at: now };
    const left = Math.min(atOnce, last.left + ((now - last.at) / 1000) * perSecond);
    // Put last again, so that the first of the map is the one that asked longest ago.
    seen.delete(address);
    seen.set(address, { left: left >= 1 ? left - 1 : left, at: now });
    for (const oldest of seen.keys()) {
      if (seen.size <= MAX_ADDRESSES) break;
      seen.delete(oldest);
    }
    return left >= 1;
  };
}

/** One bucket for all the addresses that one machine of IPv6 has: its network's first 64 bits. */
export function addressGroup(remote: string | undefined): string {
  if (remote === undefined) return '?';
  const plain = remote.replace(/^::ffff:(?=\d+\.)/, '');
  if (!plain.includes(':')) return plain;
  const [before = '', after = ''] = plain.split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after === '' ? [] : after.split(':');
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...(plain.includes('::') ? zeros : []), ...right].slice(0, 4).join(':');
}
