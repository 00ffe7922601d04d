import { hostname, networkInterfaces } from 'node:os';
import multicastDns from 'multicast-dns';
import { SERVICE_TYPE } from '../../core/contract/discovery.ts';
import type { Log } from '../log.ts';

export interface Announced {
  id: string;
  /** Of HTTPS. */
  port: number;
  fingerprint: string;
  operator: string;
}

const TTL_S = 120;
/** A record of TXT holds no more. */
const MAX_TXT_BYTES = 255;

/**
 * Lets machines of the local network find a coordinator, by mDNS. What it says is a hint: joining takes an invitation.
 * @param options of the multicast socket, for tests
 * @returns what takes it back
 */
export function announce(
  { id, port, fingerprint, operator }: Announced,
  log: Log,
  options: multicastDns.Options = {},
): () => Promise<void> {
  const mdns = multicastDns(options);
  const host = `${hostname().split('.')[0]}.local`;
  const instance = `${id}.${SERVICE_TYPE}`;
  const txt = [`id=${id}`, `sha256=${fingerprint}`, `operator=${operator}`].map((entry) => Buffer.from(entry).subarray(0, MAX_TXT_BYTES));

  function answer(ttl: number) {
    const addresses = Object.values(networkInterfaces()).flatMap((interfaces) => interfaces ?? []);
    const reachable = addresses.filter(({ internal, family }) => !internal && family === 'IPv4');
    return {
      answers: [{ name: SERVICE_TYPE, type: 'PTR' as const, ttl, data: instance }],
      additionals: [
        { name: instance, type: 'SRV' as const, ttl, data: { port, target: host, priority: 0, weight: 0 } },
        { name: instance, type: 'TXT' as const, ttl, data: txt },
        ...reachable.map(({ address }) => ({ name: host, type: 'A' as const, ttl, data: address })),
      ],
    };
  }

  mdns.on('query', ({ questions = [] }) => {
    if (questions.some(({ name, type }) => name === SERVICE_TYPE && (type === 'PTR' || String(type) === 'ANY')))
      mdns.respond(answer(TTL_S));
  });
  // A machine without a network has nobody to be found by.
  mdns.on('error', (error: Error) => log('warn', 'not-announced', { detail: error.message }));
  mdns.on('warning', (error: Error) => log('info', 'mdns', { detail: error.message }));
  mdns.on('ready', () => mdns.respond(answer(TTL_S)));
  return () =>
    new Promise((resolve) => {
      // It is gone: a time to live of 0.
      mdns.respond(answer(0), () => mdns.destroy(() => resolve()));
    });
}
