import { hostname, networkInterfaces } from 'node:os';

const MAX_NAMES = 64;

/** Where this machine can be reached: what its operator says first, then its addresses on networks, its name, and itself. */
export function reachableNames(advertised: readonly string[]): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((interfaces) => interfaces ?? [])
    // An address with a zone means nothing to another machine.
    .filter(({ internal, address }) => !internal && !address.toLowerCase().startsWith('fe80:'))
    .sort((a, b) => Number(b.family === 'IPv4') - Number(a.family === 'IPv4'))
    .map(({ address }) => address);
  const name = hostname().toLowerCase();
  const host = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name) ? [name, ...(name.includes('.') ? [] : [`${name}.local`])] : [];
  return [...new Set([...advertised, ...addresses, ...host, 'localhost', '127.0.0.1'])].slice(0, MAX_NAMES);
}

/** Of those, what another machine can use. Where there is nothing else, this one is alone with itself. */
export function usefulElsewhere(names: readonly string[], advertised: readonly string[]): string[] {
  const useful = names.filter((name) => advertised.includes(name) || !['localhost', '127.0.0.1'].includes(name));
  return useful.length > 0 ? useful : ['127.0.0.1'];
}

/** What to listen on for every network of this machine, of either kind. */
export function everyAddress(): string {
  const both = Object.values(networkInterfaces()).some((interfaces) => interfaces?.some(({ family }) => family === 'IPv6'));
  return both ? '::' : '0.0.0.0';
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostAndPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
