import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { Handlers } from '../../../core/contract/rpc.ts';
import { type Access, createAccess } from '../../../core/loopback/access.ts';
import { readBundle } from '../../../core/loopback/bundle.ts';
import { createCallRate } from '../../../core/loopback/call-rate.ts';
import { servingCalls } from '../../../core/loopback/connection.ts';
import { LOOPBACK_LIMITS } from '../../../core/loopback/limits.ts';
import { type Loopback, openLoopback } from '../../../core/loopback/server.ts';
import { temporaryFolder } from '../../cli/console.ts';
import { FakeApp } from '../../fakes/app.ts';

const limits = {
  ...LOOPBACK_LIMITS,
  headersMs: 300,
  requestMs: 300,
  checkMs: 50,
  authenticateMs: 300,
  goodbyeMs: 100,
  bufferedBytes: 1 << 20,
  codeMs: 150,
  connections: 8,
};

let app: FakeApp;
let access: Access;
let server: Loopback;

beforeEach(async () => {
  const outside = temporaryFolder();
  const folder = join(outside, 'ui');
  mkdirSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(outside, 'secret.html'), 'secret');
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Hearthlend</title>');
  writeFileSync(join(folder, 'assets', 'app-1a2b.js'), 'export {};');
  writeFileSync(join(folder, 'assets', 'app-1a2b.js.map'), '{}');
  app = new FakeApp();
  access = createAccess(limits.codeMs);
  const handlers = {
    ...app.handlers,
    'session.code': async () => ({ url: '', code: '' }),
    'agent.stop': async () => ({}),
  };
  server = await openLoopback(null, await readBundle(folder), served(handlers), limits);
});

const served = (handlers: Handlers) => ({ access, open: servingCalls(handlers, (listener) => app.events(listener), limits.callsInFlight) });

afterEach(async () => {
  access.close();
  await server.close();
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: server.port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.on('error', reject).end();
  });
}

/** Sends bytes as they are, and gives everything that comes until the server closes. */
async function sendRaw(text: string): Promise<string> {
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    answer += part;
  });
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return answer;
}

function openSocket(headers: Record<string, string> = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/rpc`, { headers });
  socket.on('error', () => undefined);
  return socket;
}

async function nextMessage(socket: WebSocket): Promise<unknown> {
  const [data] = await once(socket, 'message');
  return JSON.parse(String(data));
}

/** Says who it is, and gives the answer. */
async function authenticate(socket: WebSocket, credential: object): Promise<Record<string, unknown>> {
  if (socket.readyState !== socket.OPEN) await once(socket, 'open');
  socket.send(JSON.stringify({ authenticate: credential }));
  return (await nextMessage(socket)) as Record<string, unknown>;
}

async function call(socket: WebSocket, name: string, input: unknown = {}): Promise<Record<string, unknown>> {
  socket.send(JSON.stringify({ id: 1, call: name, input }));
  return (await nextMessage(socket)) as Record<string, unknown>;
}

const page = () => ({ Origin: `http://127.0.0.1:${server.port}` });

async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = await once(socket, 'close');
  return code as number;
}

test('the page is served under our own names, with a policy that lets it load its own files and reach its own socket only', async () => {
  for (const host of [`127.0.0.1:${server.port}`, `localhost:${server.port}`, `LOCALHOST:${server.port}`]) {
    const { status, headers, body } = await get('/', { host });
    expect(status).toBe(200);
    expect(body).toContain('<title>Hearthlend</title>');
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['cache-control']).toBe('no-store');
    expect(headers['content-security-policy']).toBe(
      `default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; worker-src 'none'; connect-src 'self' ws://127.0.0.1:${server.port} ws://localhost:${server.port}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'`,
    );
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['cross-origin-opener-policy']).toBe('same-origin');
    expect(headers['cross-origin-resource-policy']).toBe('same-origin');
  }
  const script = await get('/assets/app-1a2b.js?v=1');
  expect(script.headers['content-type']).toBe('text/javascript; charset=utf-8');
  expect(script.headers['cache-control']).toContain('immutable');
  expect(await get('/', {}, 'HEAD')).toMatchObject({ status: 200, body: '' });
});

test.each([
  'evil.example',
  'evil.example:80',
  '127.0.0.1',
  'localhost',
  '127.0.0.1.evil.example:PORT',
  '[::1]:PORT',
  '0.0.0.0:PORT',
  '127.1:PORT',
])('a request for the host "%s" is refused, as a rebound name would send it', async (pattern) => {
  const host = pattern.replace('PORT', String(server.port));
  expect((await get('/', { host })).status).toBe(403);
  const socket = openSocket({ Host: host });
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(403);
});

test('a request without a host is refused', async () => {
  expect(await sendRaw('GET / HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  expect(await sendRaw('GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /);
});

test.each([
  '/../secret.html',
  '/assets/../../secret.html',
  '/%2e%2e/secret.html',
  '/..%2fsecret.html',
  '/assets/..%5c..%5csecret.html',
  '//etc/passwd',
  '/assets',
  '/assets/',
  '/assets/app-1a2b.js.map',
  '/__proto__',
  '/index.html/',
  '/%00',
  'http://evil.example/',
  'file:///etc/passwd',
])('the path %s leads nowhere', async (path) => {
  expect(await sendRaw(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: close\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 404 [\s\S]*\r\n\r\n$/,
  );
});

test('anything but reading is refused', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    expect(await get('/', {}, method)).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  }
});

test.each([
  'http://evil.example',
  'http://127.0.0.1:1',
  'https://127.0.0.1:PORT',
  'http://localhost',
  'null',
  'file://',
  'http://127.0.0.1:PORT.evil.example',
  '',
])('a WebSocket from a page of the origin "%s" is refused', async (pattern) => {
  const socket = openSocket({ Origin: pattern.replace('PORT', String(server.port)) });
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(403);
});

test('a WebSocket elsewhere than at /rpc is refused', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(404);
});

test('a code lets one page in, once; the token it gets lets it come back', async () => {
  const gone = Promise.withResolvers<void>();
  const code = access.issueCode(gone.resolve);
  expect(Buffer.from(code, 'base64url')).toHaveLength(32);
  const first = openSocket(page());
  const reply = await authenticate(first, { code });
  expect(reply).toEqual({ authenticated: true, token: expect.stringMatching(/^[\w-]{43}$/) });
  await gone.promise;
  const second = openSocket(page());
  expect(await authenticate(second, { code })).toMatchObject({ authenticated: false, error: { code: 'SESSION_REFUSED' } });
  expect(await closeCode(second)).toBe(4401);
  const again = openSocket({ Origin: `http://localhost:${server.port}` });
  expect(await authenticate(again, { token: reply.token })).toEqual({ authenticated: true, token: reply.token });
  expect(await call(again, 'settings.get')).toMatchObject({ ok: true });
});

test('a code that is too old lets nobody in', async () => {
  const gone = Promise.withResolvers<void>();
  const code = access.issueCode(gone.resolve);
  await gone.promise;
  expect(await authenticate(openSocket(page()), { code })).toMatchObject({ authenticated: false });
});

test.each([
  ['no code', {}],
  ['a wrong code', { authenticate: { code: 'x'.repeat(43) } }],
  ['a wrong token', { authenticate: { token: 'x'.repeat(43) } }],
  ['a code and a token', { authenticate: { code: 'x', token: 'x' } }],
  ['a call', { id: 1, call: 'settings.get', input: {} }],
  ['an array', []],
])('a connection that starts with %s is refused and closed', async (_what, message) => {
  const socket = openSocket();
  await once(socket, 'open');
  socket.send(JSON.stringify(message));
  expect(await nextMessage(socket)).toMatchObject({ authenticated: false });
  expect(await closeCode(socket)).toBe(4401);
});

test('a connection that does not say who it is is closed', async () => {
  expect(await closeCode(openSocket())).toBe(4401);
});

test("the owner's token is good for a program only: a page never gets the owner's scope", async () => {
  const program = openSocket();
  expect(await authenticate(program, { token: access.ownerToken })).toMatchObject({ authenticated: true });
  expect(await call(program, 'agent.stop', { now: true })).toMatchObject({ ok: true });
  expect(await authenticate(openSocket(page()), { token: access.ownerToken })).toMatchObject({ authenticated: false });
  const screen = openSocket();
  await authenticate(screen, { code: access.issueCode(() => undefined) });
  const signing = ['payments.send', 'identity.sign', 'payments.contact-put', 'payments.contact-remove', 'wallet.keystore'] as const;
  for (const name of ['agent.stop', 'session.code', 'ledger.export', 'job.submit', 'job.save', ...signing] as const) {
    expect(await call(screen, name)).toMatchObject({ ok: false, error: { code: 'RPC_FORBIDDEN' } });
  }
});

test('events come after app.watch only, and none that happened since the snapshot is lost', async () => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  app.emit({ event: 'changed', data: { load: 0.1 } });
  const seen: unknown[] = [];
  const received = Promise.withResolvers<void>();
  socket.on('message', (data) => {
    seen.push(JSON.parse(String(data)));
    if (seen.length === 3) received.resolve();
  });
  socket.send(JSON.stringify({ id: 7, call: 'app.watch', input: {} }));
  socket.send(JSON.stringify({ id: 8, call: 'app.watch', input: {} }));
  await once(socket, 'message');
  app.emit({ event: 'changed', data: { load: 0.2 } });
  await received.promise;
  expect(seen).toMatchObject([
    { id: 7, ok: true },
    { id: 8, ok: true },
    { event: 'changed', data: { load: 0.2 } },
  ]);
  socket.close();
  await once(socket, 'close');
});

test.each([
  ['what is no JSON', 'nonsense'],
  ['what is no call', '{"hello":1}'],
  ['bytes', Buffer.from([1, 2, 3])],
])('who sends %s once in is closed', async (_what, data) => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  socket.send(data);
  expect(await closeCode(socket)).toBe(4400);
});

test('a message over a megabyte is not read', async () => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  socket.send('x'.repeat(limits.messageBytes + 1));
  expect(await closeCode(socket)).toBe(1009);
});

test('who makes more calls at once than anyone needs is closed', async () => {
  app.handlers['job.list'] = () => new Promise(() => undefined);
  await server.close();
  const handlers = { ...app.handlers, 'session.code': async () => ({ url: '', code: '' }), 'agent.stop': async () => ({}) };
  server = await openLoopback(null, new Map(), served(handlers), limits);
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  for (let id = 1; id <= limits.callsInFlight + 1; id += 1) socket.send(JSON.stringify({ id, call: 'job.list', input: {} }));
  expect(await closeCode(socket)).toBe(4429);
});

test('who calls faster than anyone needs, for longer than a moment, is closed, even where each call is answered at once', async () => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  const closed = closeCode(socket);
  let over = false;
  void closed.then(() => {
    over = true;
  });
  let made = 0;
  while (!over && made < limits.callsAtOnce * 2) {
    const answered = once(socket, 'message', { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
    socket.send(JSON.stringify({ id: made + 1, call: 'settings.get', input: {} }));
    made += 1;
    await Promise.race([answered, closed]);
  }
  expect(await closed).toBe(4429);
  expect(made).toBeGreaterThan(limits.callsAtOnce);
});

test('the rate lets through what it says, whatever the clock does', () => {
  const calls = fc.array(fc.integer({ min: -10_000, max: 10_000 }), { maxLength: 200 });
  fc.assert(
    fc.property(calls, (steps) => {
      const within = createCallRate({ callsAtOnce: 10, callsPerSecond: 5 });
      let now = 0;
      let gone = 0;
      let passed = 0;
      for (const step of steps) {
        now += step;
        gone += Math.max(0, step);
        if (within(now)) passed += 1;
      }
      expect(passed).toBeLessThanOrEqual(10 + (gone / 1000) * 5);
      expect(passed).toBeGreaterThanOrEqual(Math.min(10, steps.length));
    }),
  );
});

test('a reader that does not read is dropped instead of being remembered without end', async () => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  await call(socket, 'app.watch');
  socket.pause();
  expect(app.listeners).toBe(1);
  const text = 'x'.repeat(64 << 10);
  // More than the sockets' own buffers and the limit hold together.
  for (let sent = 0; sent < 64 << 20 && app.listeners > 0; sent += text.length) {
    app.emit({ event: 'current.text', data: { shardId: 's', attempt: 1, text, tokens: 1 } });
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(app.listeners).toBe(0);
});

test('headers over 8 KB are refused', async () => {
  const answer = await sendRaw(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nX: ${'x'.repeat(9000)}\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 431 /);
});

test.each([
  ['half a header', 'GET / HTTP/1.1\r\nHost: 127'],
  ['nothing', ''],
  ['half a body', 'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nabc'],
])('a client that sends %s and then nothing more is closed', async (_what, text) => {
  await sendRaw(text);
});

test('a client that sends its header byte by byte is closed', async () => {
  const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
  const dripping = setInterval(() => socket.write('x'), 20);
  socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ');
  await once(socket.resume(), 'close');
  clearInterval(dripping);
});

test('a WebSocket that begins to say who it is and never ends is closed, and gone though it says no goodbye', async () => {
  const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /rpc HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
  // A text frame of 100 bytes, of which two come.
  socket.write(Buffer.from([0x81, 0x80 | 100, 0, 0, 0, 0, 0x7b, 0x22]));
  await once(socket.resume(), 'close');
});

test('more connections than the limit are not taken', async () => {
  const sockets = Array.from({ length: limits.connections + 4 }, () => connect(server.port, '127.0.0.1').on('error', () => undefined));
  const closed = await Promise.any(sockets.slice(limits.connections).map((socket) => once(socket, 'close').then(() => true)));
  expect(closed).toBe(true);
  for (const socket of sockets) socket.destroy();
});

test('the server listens on 127.0.0.1 alone, and a port that is taken is named', async () => {
  const refused = openLoopback(server.port, new Map(), served({} as never), limits);
  await expect(refused).rejects.toThrow(HearthlendError);
  await expect(refused).rejects.toMatchObject({ code: 'PORT_IN_USE', params: { port: String(server.port) } });
  const other = connect(server.port, '127.0.0.2');
  const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
});

test('closing the server ends every connection and frees the port', async () => {
  const socket = openSocket();
  await authenticate(socket, { token: access.ownerToken });
  const closed = closeCode(socket);
  await server.close();
  expect(await closed).toBe(1001);
  const free = await openLoopback(server.port, new Map(), served({} as never), limits);
  await free.close();
});
