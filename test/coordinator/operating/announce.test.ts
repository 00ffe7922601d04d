import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { announce } from '../../../coordinator/operating/announce.ts';
import { findNetworks, networksIn } from '../../../core/network/discovery.ts';

const NETWORK = { id: 'studio-1', port: 7422, fingerprint: 'a'.repeat(64), operator: 'Ann & Söhne' };
const SERVICE = '_hearthlend._tcp.local';

/** A port of this test alone, on which multicast comes back to this machine; null where it doesn't. */
async function multicastPort(): Promise<number | null> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    socket.bind(0, '0.0.0.0');
    await once(socket, 'listening');
    socket.addMembership('224.0.0.251');
    socket.setMulticastLoopback(true);
    const { port } = socket.address();
    const heard = once(socket, 'message', { signal: AbortSignal.timeout(2000) });
    socket.send('?', port, '224.0.0.251');
    await heard;
    return port;
  } catch {
    return null;
  } finally {
    socket.close();
  }
}

test('a coordinator of the local network is found, with the fingerprint that an invitation would name', async (context) => {
  const port = await multicastPort();
  context.skip(port === null, 'multicast does not come back to this machine');
  const options = { port: port as number };
  const stop = announce(NETWORK, () => undefined, options);
  const found = await findNetworks(1500, options);
  await stop();
  expect(found).toEqual([expect.objectContaining({ id: 'studio-1', operator: 'Ann & Söhne', fingerprint: NETWORK.fingerprint })]);
  expect(found[0]?.at).toMatch(/:7422$/);
});

test('what is malformed, gone or another service is no network', () => {
  const instance = `x.${SERVICE}`;
  const ptr = { name: SERVICE, type: 'PTR' as const, ttl: 120, data: instance };
  const srv = { name: instance, type: 'SRV' as const, ttl: 120, data: { port: 1, target: 'h.local' } };
  const txt = (...data: string[]) => ({ name: instance, type: 'TXT' as const, data: data.map((entry) => Buffer.from(entry)) });
  const good = txt('id=x', `sha256=${'b'.repeat(64)}`, 'operator=O');
  expect(networksIn([ptr, srv, good], '10.0.0.9')).toEqual([{ id: 'x', operator: 'O', at: '10.0.0.9:1', fingerprint: 'b'.repeat(64) }]);
  expect(networksIn([ptr, srv, good], 'fd00::1')[0]?.at).toBe('[fd00::1]:1');
  for (const records of [
    [ptr],
    [srv, good],
    [ptr, good],
    [ptr, srv],
    [{ ...ptr, name: '_http._tcp.local' }, srv, good],
    [ptr, { ...srv, ttl: 0 }, good],
    [ptr, srv, txt('id=../x', `sha256=${'b'.repeat(64)}`)],
    [ptr, srv, txt('id=x', 'sha256=short')],
    [ptr, srv, txt('nonsense')],
  ]) {
    expect(networksIn(records, '10.0.0.9')).toEqual([]);
  }
});
