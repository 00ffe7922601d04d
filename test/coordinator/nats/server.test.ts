import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUser } from '@nats-io/jwt';
import { jwtAuthenticator } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectNats } from '../../../coordinator/nats/connection.ts';
import { storeLogin } from '../../../coordinator/nats/keys.ts';
import { findNatsServer } from '../../../coordinator/nats/program.ts';
import { restartAfter } from '../../../coordinator/nats/restarts.ts';
import { runNatsServer } from '../../../coordinator/nats/server.ts';
import { natsMissing } from '../../nats.ts';
import { natsRig, type Rig } from './rig.ts';

const missing = natsMissing();
let rig: Rig;

beforeAll(async () => {
  if (missing === null) rig = await natsRig({ websocket: true });
});
afterAll(async () => rig?.stop());
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

const reload = async () => {
  const before = rig.serverLog().length;
  await rig.server.reload();
  await expect.poll(() => rig.serverLog().slice(before).join('\n')).toContain('Reloaded server configuration');
};

test('its config, which holds the network’s JWTs, is for its owner alone', () => {
  if (process.platform !== 'win32') expect(statSync(join(rig.root, 'nats', 'nats.conf')).mode & 0o777).toBe(0o600);
});

test('JetStream is there for the coordinators’ account, and workers are not in it', async () => {
  const store = await connectNats(rig.address(), await storeLogin(rig.credentials), 'store');
  const info = JSON.parse((await store.request('$JS.API.INFO')).string());
  expect(info).toMatchObject({ type: 'io.nats.jetstream.api.v1.account_info_response', limits: { max_streams: -1 } });
  const heard: string[] = [];
  store.subscribe('>', { callback: (_error, { subject }) => void heard.push(subject) });
  await store.flush();
  const { connection, nkey } = await rig.worker();
  connection.publish(`w.${nkey}.lease`, 'x', { reply: `_INBOX.${nkey}.x` });
  await connection.flush();
  await store.flush();
  expect(heard.filter((subject) => subject.startsWith('w.'))).toEqual([]);
  await store.close();
});

test('a worker comes in by WebSocket too', async () => {
  const address = { servers: [`wss://127.0.0.1:${rig.server.websocketPort}`], ca: rig.authority.ca };
  const connection = await connectNats(address, await storeLogin(rig.credentials), 'by WebSocket');
  await connection.flush();
  await connection.close();
});

test('nobody comes in without a JWT of this network, with another’s key, or past its time', async () => {
  const { jwt, user } = await rig.worker();
  const servers = `127.0.0.1:${rig.server.port}`;
  const tls = { ca: rig.authority.ca, checkServerIdentity: () => undefined };
  const attempt = (options: object) =>
    connect({ servers, tls, reconnect: false, ...options }).then(
      async (connection) => {
        await connection.close();
        return 'in';
      },
      (thrown: Error) => thrown.message.toLowerCase(),
    );
  expect(await attempt({})).toMatch(/authorization/);
  expect(await attempt({ user: 'admin', pass: 'admin' })).toMatch(/authorization/);
  expect(await attempt({ authenticator: jwtAuthenticator(jwt, createUser().getSeed()) })).toMatch(/authorization/);
  expect(await attempt({ authenticator: jwtAuthenticator(`${jwt.slice(0, -4)}AAAA`, user.getSeed()) })).toMatch(/authorization/);
  expect(await attempt({ authenticator: jwtAuthenticator(jwt, user.getSeed()) })).toBe('in');
  await expect(rig.worker({ expiresAt: Date.now() - 1000 })).rejects.toThrow(/authorization|expired/i);
});

test('a JWT that runs out ends its connection', async () => {
  const { connection } = await rig.worker({ expiresAt: Date.now() + 1500 });
  expect(String(await connection.closed())).toMatch(/expired/i);
});

test('a worker that is revoked is cut off at once and stays out; nobody else is', async () => {
  const [revoked, other] = await Promise.all([rig.worker(), rig.worker()]);
  rig.revocations[revoked.nkey] = Math.floor(Date.now() / 1000) + 3600;
  await rig.server.update();
  expect(String(await revoked.connection.closed())).toMatch(/revoked|authorization|authentication/i);
  await expect(rig.worker({ user: revoked.user })).rejects.toThrow(/authorization|revoked/i);
  await other.connection.flush();
  expect(other.connection.isClosed()).toBe(false);
  // And it stays so when the server has to be started again.
  const { pid } = rig.server;
  process.kill(pid as number, 'SIGKILL');
  await expect.poll(() => rig.server.pid).not.toBe(pid);
  await expect.poll(() => rig.worker({ user: revoked.user }).catch(String), { timeout: 20_000 }).toMatch(/authorization|revoked/i);
});

test('a renewed certificate is what the next connection sees', async () => {
  const before = rig.authority.server().certificate;
  rig.authority.renew(['127.0.0.1', 'localhost', 'renewed.example'], Date.now());
  expect(rig.authority.server().certificate).not.toBe(before);
  await reload();
  const { connection } = await rig.worker();
  await connection.flush();
});

test('a server that is killed is started again on its port, and its clients come back', async () => {
  const answering = await rig.answering();
  const { port, pid } = rig.server;
  const back = Promise.withResolvers<void>();
  void (async () => {
    for await (const { type } of answering.status()) if (type === 'reconnect') back.resolve();
  })();
  process.kill(pid as number, 'SIGKILL');
  await back.promise;
  expect(rig.server.port).toBe(port);
  expect(rig.server.pid).not.toBe(pid);
  await answering.close();
});

test('a client that reads nothing is cut off, and holds back nobody', async () => {
  const [deaf, other] = await Promise.all([rig.worker(), rig.worker()]);
  deaf.connection.subscribe(`_INBOX.${deaf.nkey}.>`, { callback: () => undefined });
  await deaf.connection.flush();
  const socket = (deaf.connection as unknown as { protocol: { transport: { socket: { pause(): void } } } }).protocol.transport.socket;
  socket.pause();
  const answering = await rig.answering();
  const chunk = new Uint8Array(1_000_000);
  for (let sent = 0; sent < 40; sent += 1) {
    answering.publish(`_INBOX.${deaf.nkey}.x`, chunk);
    await answering.flush();
  }
  await expect.poll(() => rig.serverLog().join('\n'), { timeout: 20_000 }).toMatch(/Slow Consumer/);
  await other.connection.flush();
  await Promise.all([answering.close(), deaf.connection.close()]);
});

test('what a killed coordinator left running is ended before a new one is started', async (context) => {
  context.skip(process.platform !== 'linux', 'only Linux tells what a process id belongs to');
  const left = rig.server.pid as number;
  // The first one's watcher starts it again once it is gone: it is another coordinator's folder by then.
  const folder = join(rig.root, 'nats');
  const copy = join(rig.root, 'second');
  mkdirSync(copy);
  writeFileSync(join(copy, 'nats.pid'), String(left));
  const second = await runNatsServer({ ...rig.options(), folder: copy, port: 0 });
  // Another folder's server is not touched, whatever a file says.
  expect(existsSync(`/proc/${left}`)).toBe(true);
  await second.stop();
  const third = await runNatsServer({ ...rig.options(), folder, port: 0 });
  expect(third.pid).not.toBe(left);
  expect(existsSync(`/proc/${left}/cmdline`) && readFileSync(`/proc/${left}/cmdline`, 'utf8').includes(folder)).toBe(false);
  await third.stop();
});

test('a port that another program has is said to be', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { port: number };
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-port-'));
  await expect(runNatsServer({ ...rig.options(), folder, port })).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    params: { port: String(port) },
  });
  other.close();
  rmSync(folder, { recursive: true });
});

test('where nats-server is missing, it says what to install', () => {
  const find = (platform: NodeJS.Platform) => () => findNatsServer({ PATH: '' }, platform);
  expect(find('darwin')).toThrow(
    expect.objectContaining({ code: 'NATS_MISSING', params: { how: expect.stringContaining('brew install nats-server') } }),
  );
  expect(find('win32')).toThrow(expect.objectContaining({ code: 'NATS_MISSING' }));
});

test('a server that ends is started again after longer and longer waits, and not for ever', () => {
  expect([1, 2, 3, 4, 5].map((times) => restartAfter(Array.from({ length: times }, (_, at) => at * 10)))).toEqual([
    100, 200, 400, 800, 1600,
  ]);
  expect(restartAfter([0, 1, 2, 3, 4, 5])).toBeNull();
  expect(restartAfter([0, 1, 2, 3, 4, 100_000])).toBe(100);
});
