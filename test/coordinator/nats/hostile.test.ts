import type { NatsConnection, Status, Subscription } from '@nats-io/nats-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createMetrics } from '../../../coordinator/metrics/metrics.ts';
import { serveWorkers, type Transport } from '../../../coordinator/nats/transport.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import type { Asked } from '../../fakes/worker-service.ts';
import { fakeWorkerService } from '../../fakes/worker-service.ts';
import { natsMissing } from '../../nats.ts';
import { frame, natsRig, type Rig, unframe } from './rig.ts';

const missing = natsMissing();
const asked: Asked[] = [];
const metrics = createMetrics();
let rig: Rig;
let answering: NatsConnection;
let transport: Transport;
let emit: ReturnType<typeof fakeWorkerService>['emit'];
let honest: Awaited<ReturnType<Rig['worker']>>;
let hostile: Awaited<ReturnType<Rig['worker']>>;
/** How long the service takes, until it is let go. */
let held: Promise<void> | null = null;

beforeAll(async () => {
  if (missing !== null) return;
  rig = await natsRig();
  answering = await rig.answering();
  const fake = fakeWorkerService(asked, { progress: async () => void (await held) });
  emit = fake.emit;
  const addressOf = (nkey: string) => `0x${Buffer.from(nkey).toString('hex').slice(2, 42)}`;
  const known = new Map<string, string>();
  transport = serveWorkers({
    connection: answering,
    service: fake.service,
    version: '0.1.0',
    blobAccess: () => ({ token: 't', expiresAt: 1, urls: ['https://127.0.0.1:1'] }),
    takeUpload: async (_worker, digest) => {
      throw new HearthlendError('BLOB_MISSING', { digest });
    },
    uploadDone: () => undefined,
    async workerOf(nkey) {
      known.set(addressOf(nkey), nkey);
      return { address: addressOf(nkey), payee: addressOf(nkey) };
    },
    nkeyOf: async (address) => known.get(address) ?? null,
    log: () => undefined,
    metrics,
    limits: { perWorker: 4, inAll: 16 },
  });
  [honest, hostile] = await Promise.all([rig.worker(), rig.worker()]);
  await answering.flush();
});
afterAll(async () => {
  await transport?.stop();
  await answering?.close();
  await rig?.stop();
});
beforeEach((context) => {
  context.skip(missing !== null, missing ?? '');
  asked.length = 0;
});

/** What a worker's own calls come to. */
async function ask({ nkey, connection }: typeof honest, call: string, data: Uint8Array) {
  return unframe((await connection.request(`w.${nkey}.${call}`, data, { timeout: 20_000 })).data);
}
const ASK_LEASE = frame({ isolation: 'os', warmModels: [], memoryBytes: 1, practice: false });
const lease = (worker: typeof honest) => ask(worker, 'lease', ASK_LEASE);
const refusal = (code: string) => ({ ok: false, error: expect.objectContaining({ code }) });

/** Publishes, and says whether nats-server let it through. What it refuses it tells at once, before it answers a ping. */
async function publish({ connection }: typeof hostile, subject: string, reply?: string): Promise<'refused' | 'let through'> {
  const told: Status[] = [];
  const statuses = connection.status();
  const reading = (async () => {
    for await (const status of statuses) told.push(status);
  })();
  connection.publish(subject, frame({}), reply === undefined ? {} : { reply });
  await connection.flush();
  await connection.flush();
  (statuses as AsyncIterable<Status> & { stop?: () => void }).stop?.();
  void reading;
  return told.some((status) => status.type === 'error' && /permission/i.test(status.error.message)) ? 'refused' : 'let through';
}

/** Subscribes, and says whether nats-server let it. */
async function subscribe({ connection }: typeof hostile, subject: string, queue?: string): Promise<'refused' | 'let through'> {
  let refused = false;
  const subscription: Subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error) => {
      if (error !== null) refused = true;
    },
  });
  await connection.flush();
  await connection.flush();
  subscription.unsubscribe();
  return refused ? 'refused' : 'let through';
}

test('a worker is served: what it asks comes to the service under its own name, and the answer to its own inbox', async () => {
  expect(await lease(honest)).toMatchObject({ ok: true, output: { type: 'no-work' } });
  expect(asked).toMatchObject([{ call: 'lease' }]);
  const events: string[] = [];
  const subscription = honest.connection.subscribe(`_INBOX.${honest.nkey}.events`, {
    callback: (_error, { data }) => void events.push(new TextDecoder().decode(data)),
  });
  await honest.connection.flush();
  emit({ type: 'revoked', shardId: 's', attempt: 1 }, asked[0]?.worker as string);
  emit({ type: 'work' }, null);
  await expect.poll(() => events.map((text) => JSON.parse(text).type)).toEqual(['revoked', 'work']);
  subscription.unsubscribe();
});

test('a worker can not speak for another one, by any of its calls', async () => {
  for (const call of [
    'lease',
    'submit',
    'progress',
    'release',
    'receiptsSince',
    'pendingBatches',
    'countersign',
    'blobAccess',
    'connect',
    '>',
    '*',
  ]) {
    expect([call, await publish(hostile, `w.${honest.nkey}.${call}`, `_INBOX.${hostile.nkey}.x`)]).toEqual([call, 'refused']);
  }
  for (const subject of ['w.lease', 'w', 'w.*.lease', `w.${hostile.nkey}`, `W.${hostile.nkey}.lease`]) {
    expect([subject, await publish(hostile, subject, `_INBOX.${hostile.nkey}.x`)]).toEqual([subject, 'refused']);
  }
  expect(asked).toEqual([]);
  expect(await publish(hostile, `w.${hostile.nkey}.lease`, `_INBOX.${hostile.nkey}.x`)).toBe('let through');
});

test('a worker can not hear what others ask or are told, nor answer in the coordinator’s place', async () => {
  const subjects = [
    ...['>', '*', 'w.>', 'w.*.lease', 'w.*.>', `w.${honest.nkey}.>`, `w.${hostile.nkey}.>`, `w.${honest.nkey}.lease`],
    ...['_INBOX.>', '_INBOX.*.>', '_INBOX.*.events', `_INBOX.${honest.nkey}.>`, `_INBOX.${honest.nkey}.events`, `_INBOX.${hostile.nkey}`],
  ];
  for (const subject of subjects) {
    expect([subject, await subscribe(hostile, subject)]).toEqual([subject, 'refused']);
    expect([subject, 'in the group', await subscribe(hostile, subject, 'coordinators')]).toEqual([subject, 'in the group', 'refused']);
  }
  expect(await subscribe(hostile, `_INBOX.${hostile.nkey}.>`)).toBe('let through');
  // Nor by joining a group: what is asked goes to the coordinator, every time.
  for (let times = 0; times < 20; times += 1) expect(await lease(honest)).toMatchObject({ ok: true });
  for (const subject of [`_INBOX.${honest.nkey}.events`, `_INBOX.${honest.nkey}.1`, `_INBOX.${hostile.nkey}.events`]) {
    expect([subject, await publish(hostile, subject)]).toEqual([subject, 'refused']);
  }
});

test('a worker reaches neither JetStream nor the server’s own subjects', async () => {
  const subjects = [
    ...[
      '$JS.API.INFO',
      '$JS.API.STREAM.LIST',
      '$JS.API.STREAM.PURGE.changes',
      '$JS.API.STREAM.DELETE.changes',
      '$JS.API.STREAM.MSG.GET.changes',
    ],
    ...['$JS.ACK.changes.c.1.1.1.1.0', '$JS.FC.changes.x', '$KV.changes.key', '$O.blobs.C.x', '$O.blobs.M.x', '$SYS.REQ.USER.INFO'],
    ...[
      '$SYS.REQ.SERVER.PING',
      '$SYS.REQ.ACCOUNT.PING.CONNZ',
      '$SYS.REQ.CLAIMS.UPDATE',
      '$SYS.REQ.SERVER.RELOAD',
      'changes',
      'changes.1',
      '$G',
      '_R_.x.y',
      '$SRV.PING',
    ],
  ];
  for (const subject of subjects) {
    expect([subject, await publish(hostile, subject, `_INBOX.${hostile.nkey}.x`)]).toEqual([subject, 'refused']);
    expect([subject, await subscribe(hostile, subject)]).toEqual([subject, 'refused']);
  }
});

test('a reply subject that leads elsewhere is answered nowhere, and its call is not made', async () => {
  const elsewhere = [
    ...[
      `_INBOX.${honest.nkey}.x`,
      `_INBOX.${honest.nkey}.events`,
      `_INBOX.${hostile.nkey}.events`,
      `w.${honest.nkey}.submit`,
      `w.${hostile.nkey}.lease`,
    ],
    ...[
      '$JS.API.STREAM.PURGE.changes',
      '$JS.ACK.changes.c.1.1.1.1.0',
      '$SYS.REQ.SERVER.RELOAD',
      '_INBOX.x',
      `_INBOX.${hostile.nkey}`,
      `_INBOX.${hostile.nkey}x.y`,
    ],
    ...[`_INBOX.${hostile.nkey}.${'x'.repeat(300)}`],
  ];
  const heard: string[] = [];
  const listening = honest.connection.subscribe(`_INBOX.${honest.nkey}.>`, {
    callback: (_error, message) => void heard.push(message.subject),
  });
  await honest.connection.flush();
  for (const reply of elsewhere) hostile.connection.publish(`w.${hostile.nkey}.lease`, ASK_LEASE, { reply });
  hostile.connection.publish(`w.${hostile.nkey}.lease`, ASK_LEASE);
  await hostile.connection.flush();
  // What was sent before is over when this is answered: messages of one connection stay in order.
  expect(await lease(hostile)).toMatchObject({ ok: true });
  expect(await lease(honest)).toMatchObject({ ok: true });
  expect(asked).toHaveLength(2);
  expect(
    heard.filter((subject) => !subject.startsWith(`_INBOX.${honest.nkey}.`) || subject.endsWith('.x') || subject.endsWith('.events')),
  ).toEqual([]);
  listening.unsubscribe();
  expect(await metrics.text()).toMatch(/hearthlend_worker_messages_dropped_total\{why="foreign-reply"\} \d+/);
});

test('the answering connection itself can reach nothing but inboxes, whatever it were made to do', async () => {
  const refused: string[] = [];
  const statuses = answering.status();
  void (async () => {
    for await (const status of statuses) if (status.type === 'error') refused.push(status.error.message);
  })();
  for (const subject of ['$JS.API.STREAM.PURGE.changes', `w.${honest.nkey}.lease`, '$SYS.REQ.SERVER.RELOAD', 'x'])
    answering.publish(subject, 'x');
  await answering.flush();
  await expect.poll(() => refused.filter((text) => /permission/i.test(text)).length).toBe(4);
});

test('frames that are none, too large, or hold nonsense are refused by name', async () => {
  const malformed: [string, Uint8Array][] = [
    ['lease', new Uint8Array(0)],
    ['lease', Buffer.from('not a frame at all')],
    ['lease', Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])],
    ['lease', ASK_LEASE.subarray(0, ASK_LEASE.byteLength - 1)],
    ['lease', Buffer.concat([ASK_LEASE, ASK_LEASE])],
    ['lease', Buffer.concat([ASK_LEASE, Buffer.from([0])])],
    ['lease', frame({ isolation: 'none', warmModels: [], memoryBytes: 1, practice: false })],
    ['lease', frame({ isolation: 'os', warmModels: [], memoryBytes: -1, practice: false })],
    ['lease', frame([])],
    ['lease', frame(null)],
    ['progress', frame({ shardId: '../../etc', attempt: 1, fraction: 0.5 })],
    ['progress', frame({ shardId: 'a', attempt: 1, fraction: 2 })],
    ['release', frame({ shardId: 'a', attempt: 1, reason: 'bored', code: null })],
    ['connect', frame({ version: '0.1.0', holds: Array.from({ length: 4097 }, () => ({ shardId: 'a', attempt: 1 })) })],
    ['connect', frame({ version: '0.1.0' }, Buffer.from('body'))],
    ['purge', frame({})],
    ['__proto__', frame({})],
    ['lease.more', frame({})],
  ];
  for (const [call, data] of malformed) expect([call, await ask(hostile, call, data)]).toEqual([call, refusal('NETWORK_REQUEST_INVALID')]);
  expect(asked).toEqual([]);
  expect(await ask(hostile, 'connect', frame({ version: '7.0.0' }))).toEqual(refusal('NETWORK_VERSION'));
  expect(await lease(honest)).toMatchObject({ ok: true });
});

test('a message over the limit ends its own connection alone', async () => {
  const loud = await rig.worker();
  const payload = loud.connection.info?.max_payload ?? 0;
  expect(payload).toBe(2 ** 20);
  expect(() => loud.connection.publish(`w.${loud.nkey}.submit`, new Uint8Array(payload + 1))).toThrow();
  // What the library refuses is sent by hand.
  const raw = loud.connection as unknown as { protocol: { transport: { send(bytes: Uint8Array): void } } };
  raw.protocol.transport.send(
    Buffer.concat([Buffer.from(`PUB w.${loud.nkey}.submit ${payload + 1}\r\n`), new Uint8Array(payload + 1), Buffer.from('\r\n')]),
  );
  const end = await loud.connection.closed();
  expect(String(end)).toMatch(/payload/i);
  expect(await lease(honest)).toMatchObject({ ok: true });
});

test('ten thousand requests at once are each answered, most of them with the advice to come again; others are served meanwhile', async () => {
  let release: () => void = () => undefined;
  held = new Promise((resolve) => {
    release = resolve;
  });
  const progress = frame({ shardId: 'a', attempt: 1, fraction: null });
  const outcomes = new Map<string, number>();
  let answered = 0;
  const all = Promise.withResolvers<void>();
  const inbox = hostile.connection.subscribe(`_INBOX.${hostile.nkey}.flood.>`, {
    callback: (_error, { data }) => {
      const reply = unframe(data);
      const outcome = reply.ok ? 'ok' : (reply.error?.code ?? '?');
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      answered += 1;
      if (answered === 9996) release();
      if (answered === 10_000) all.resolve();
    },
  });
  for (let at = 0; at < 10_000; at += 1) {
    hostile.connection.publish(`w.${hostile.nkey}.progress`, progress, { reply: `_INBOX.${hostile.nkey}.flood.${at}` });
  }
  expect(await lease(honest)).toMatchObject({ ok: true });
  await all.promise;
  held = null;
  expect(Object.fromEntries(outcomes)).toEqual({ ok: 4, NETWORK_BUSY: 9996 });
  inbox.unsubscribe();
  expect(await lease(hostile)).toMatchObject({ ok: true });
});
