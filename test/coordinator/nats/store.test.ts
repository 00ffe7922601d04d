import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { logNames } from '../../../coordinator/nats/log-stream.ts';
import type { NatsStore } from '../../../coordinator/nats/store.ts';
import { natsMissing } from '../../nats.ts';
import { describeStore } from '../store-contract.ts';
import { Replicas } from './replicas.ts';

const X = '1'.repeat(64);
const missing = natsMissing();

describe.skipIf(missing !== null)('a store of several coordinators', () => {
  let replicas: Replicas;
  let network: string;
  let jsm: JetStreamManager;
  beforeAll(async () => {
    replicas = await Replicas.start();
  });
  afterAll(() => replicas.stop());
  beforeEach(async () => {
    network = replicas.newNetwork();
    jsm = await jetstreamManager(await replicas.connect());
  });
  afterEach(() => replicas.closeAll());
  const names = () => logNames(network);
  const publishRaw = (text: string | Uint8Array) => jsm.jetstream().publish(names().subject, text);
  const both = async () => [await replicas.open(network, 'a'), await replicas.open(network, 'b')] as const;
  const expectEqual = async (...stores: NatsStore[]) => {
    for (const store of stores) await store.caughtUp();
    await replicas.closeAll();
    const [first, ...rest] = ['a', 'b', 'c'].slice(0, stores.length).map((name) => replicas.dump(network, name));
    for (const other of rest) expect(other).toEqual(first);
  };

  describeStore('behind NATS', async () => ({ store: (await replicas.open(network, 'a')).store }));

  test('what one coordinator changes the others read, and are told', async () => {
    const [a, b] = await both();
    const told: unknown[] = [];
    const heard = new Promise<void>((resolve) =>
      b.store.onApplied(({ name, args, result, own }) => {
        told.push({ name, args, result, own });
        resolve();
      }),
    );
    await a.store.hold('job:1', [X]);
    await heard;
    expect(told).toEqual([{ name: 'hold', args: ['job:1', [X]], result: undefined, own: false }]);
    expect(await b.store.holders()).toEqual(['job:1']);
    await expectEqual(a, b);
  });

  test('changes of two coordinators at once leave both with the same state', async () => {
    const [a, b] = await both();
    const numbers = await Promise.all(Array.from({ length: 400 }, (_, index) => (index % 2 === 0 ? a : b).store.takePracticeNumber()));
    expect(numbers.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 400 }, (_, index) => index));
    await expectEqual(a, b);
  });

  test('a coordinator that is killed has recorded what it was told so, and goes on from there', async () => {
    const program = fileURLToPath(new URL('./replica-process.ts', import.meta.url));
    const child = spawn(process.execPath, [program, replicas.nats.url, replicas.dir(network, 'a'), network], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let last = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      last = Number(line);
      if (last === 40) child.kill('SIGKILL');
    }
    expect(last).toBeGreaterThanOrEqual(40);
    const a = await replicas.open(network, 'a');
    const holders = new Set(await a.store.holders());
    for (let number = 0; number <= last; number += 1) for (const part of [0, 1, 2]) expect(holders).toContain(`process:${number}.${part}`);
    const b = await replicas.open(network, 'b');
    await a.store.hold('after', [X]);
    await expectEqual(a, b);
  });

  test('a nats-server that is killed and started again loses nothing, and nothing is recorded twice', async () => {
    const [a, b] = await both();
    const rounds = Array.from({ length: 40 }, (_, index) => index);
    const taken: number[] = [];
    const work = Promise.all(
      [a, b].map(async ({ store }) => {
        for (const _ of rounds) taken.push(...(await Promise.all([store.takePracticeNumber(), store.takePracticeNumber()])));
      }),
    );
    await a.store.takePracticeNumber().then((number) => taken.push(number));
    await replicas.nats.kill();
    await replicas.nats.restart();
    await work;
    expect(taken.toSorted((x, y) => x - y)).toEqual(Array.from({ length: taken.length }, (_, index) => index));
    await expectEqual(a, b);
  });

  test('an append whose acknowledgement is lost is recorded once, and told once', async () => {
    const proxy = await cutAfterPublish(replicas.nats.port);
    const a = await replicas.open(network, 'a', { port: proxy.port });
    const told: number[] = [];
    a.store.onApplied(({ name, result }) => name === 'takePracticeNumber' && told.push(result));
    proxy.cut(names().subject);
    expect(await a.store.takePracticeNumber()).toBe(0);
    expect(await a.store.takePracticeNumber()).toBe(1);
    expect(told).toEqual([0, 1]);
    expect(proxy.cuts()).toBe(1);
    await replicas.closeAll();
    proxy.close();
  });

  test('a message that comes again after the server has forgotten it is passed over', async () => {
    const [a, b] = await both();
    await a.store.takePracticeNumber();
    await a.store.takePracticeNumber();
    for (const seq of [1, 2]) await publishRaw((await jsm.streams.getMessage(names().stream, { seq }))?.data ?? '');
    expect(await b.store.takePracticeNumber()).toBe(2);
    await expectEqual(a, b);
  });

  test('while NATS is away an append waits as long as it may, and later ones go through again', async () => {
    const a = await replicas.open(network, 'a', { withinMs: 400 });
    await replicas.nats.kill();
    await expect(a.store.hold('away', [X])).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    await replicas.nats.restart();
    let recorded = false;
    while (!recorded)
      recorded = await a.store.hold('back', [X]).then(
        () => true,
        () => false,
      );
    expect(await a.store.holders()).toContain('back');
    expect(await a.store.holders()).not.toContain('away');
  });

  test('a fresh coordinator, and one that was away for long, begin from a snapshot and end where the others are', async () => {
    const options = { snapshotEvery: 20 };
    const c = await replicas.open(network, 'c', options);
    await c.store.hold('first', [X]);
    await c.caughtUp();
    await replicas.closeAll();
    const a = await replicas.open(network, 'a', options);
    for (let index = 0; index < 50; index += 1) await a.store.hold(`holder:${index}`, [X]);
    await replicas.noted('a', 'snapshot-taken');
    while ((await jsm.streams.info(names().stream)).state.first_seq === 1) await a.store.takePracticeNumber();
    const b = await replicas.open(network, 'b', options);
    await replicas.noted('b', 'snapshot-restored');
    const again = await replicas.open(network, 'c', options);
    await replicas.noted('c', 'replica-too-old');
    await again.store.hold('last', [X]);
    expect(await b.store.holders()).toContain('first');
    await expectEqual(a, b, again);
  });

  test('a change larger than a message travels deflated, and one that is too large even so is refused', async () => {
    const [a, b] = await both();
    const many = (count: number, digit: (index: number) => string) => Array.from({ length: count }, (_, index) => digit(index));
    await a.store.hold(
      'many',
      many(30_000, (index) => String(index % 7).repeat(64)),
    );
    await b.caughtUp();
    expect((await b.store.heldBlobs()).size).toBe(7);
    const random = many(60_000, () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex'));
    const small = a.store.hold('small', [X]);
    await expect(a.store.hold('random', random)).rejects.toMatchObject({ code: 'LOG_CHANGE_TOO_LARGE' });
    await small;
    expect(await a.store.holders()).toEqual(expect.arrayContaining(['many', 'small']));
  });

  test('a log that is full refuses what is new and keeps what is old', async () => {
    const a = await replicas.open(network, 'a');
    await a.store.hold('first', [X]);
    const { config, state } = await jsm.streams.info(names().stream);
    await jsm.streams.update(names().stream, { ...config, max_bytes: state.bytes + 10 });
    await expect(a.store.hold('second', [X])).rejects.toMatchObject({ code: 'STORE_FULL' });
    await jsm.streams.update(names().stream, { ...config, max_bytes: 2 ** 20 });
    await a.store.hold('third', [X]);
    expect(await a.store.holders()).toEqual(['first', 'third']);
  });

  describe('what it stops at', () => {
    const stops = async (store: NatsStore, code: string) => {
      await expect(store.failed).rejects.toMatchObject({ code });
      await expect(store.store.hold('later', [X])).rejects.toMatchObject({ code });
    };

    test.each([
      ['no JSON', 'LOG_CORRUPT', 'a coordinator wrote this'],
      ['another form', 'LOG_CORRUPT', '{"v":1,"writer":"w","number":0,"changes":[]}'],
      ['a broken stream of deflate', 'LOG_CORRUPT', Uint8Array.of(0x78, 0x9c, 1, 2, 3)],
      ['a newer version', 'LOG_NEWER', '{"v":999,"new":true}'],
      ['a change that is not known', 'LOG_NEWER', '{"v":1,"writer":"w","number":1,"changes":[["fly",[]]]}'],
    ])('%s in the log: %s, after everything that came before it', async (_what, code, text) => {
      const [a, b] = await both();
      await a.store.hold('before', [X]);
      await publishRaw(text);
      await stops(a, code);
      await stops(b, code);
      expect(await b.store.holders()).toEqual(['before']);
      await replicas.closeAll();
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code });
    });

    test('a log that is gone is not made anew by who has what was in it', async () => {
      const a = await replicas.open(network, 'a');
      await a.store.hold('kept', [X]);
      await jsm.streams.delete(names().stream);
      await stops(a, 'LOG_MISSING');
      await replicas.closeAll();
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code: 'LOG_MISSING' });
      await replicas.open(network, 'b');
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code: 'LOG_REPLACED' });
      expect(replicas.dump(network, 'a').blob_holds).toEqual([{ holder: 'kept', digest: X }]);
    });

    test('a log that ends before what was applied here, or begins after what any snapshot has', async () => {
      const a = await replicas.open(network, 'a');
      for (const holder of ['1', '2', '3']) await a.store.hold(holder, [X]);
      await replicas.closeAll();
      const db = new Database(join(replicas.dir(network, 'a'), 'replica.db'));
      db.exec('UPDATE log_position SET sequence = 9');
      db.close();
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
      await jsm.streams.purge(names().stream, { seq: 3 });
      await expect(replicas.open(network, 'b')).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    });

    test('a log that lost its end and went on without it', async () => {
      const a = await replicas.open(network, 'a');
      for (const holder of ['1', '2', '3']) await a.store.hold(holder, [X]);
      await replicas.closeAll();
      // What a power cut takes from the server: here its third message was another one.
      const db = new Database(join(replicas.dir(network, 'a'), 'replica.db'));
      db.exec("UPDATE log_position SET mark = 'another'");
      db.close();
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    });

    test.each([
      ['that is gone', () => jsm.streams.delete(names().stream)],
      ['that somebody else wrote into', () => publishRaw('a coordinator wrote this')],
      ['that lacks a part', () => jsm.streams.purge(names().stream, { seq: 4 })],
    ])('a log %s is begun anew from a coordinator that is told to, and the others go on from it', async (_what, damage) => {
      const a = await replicas.open(network, 'a');
      const b = await replicas.open(network, 'b');
      for (const holder of ['1', '2', '3']) await a.store.hold(holder, [X]);
      await b.caughtUp();
      await replicas.closeAll();
      const db = new Database(join(replicas.dir(network, 'a'), 'replica.db'));
      db.exec("UPDATE log_position SET sequence = 2, mark = ''");
      db.close();
      await damage();
      await expect(replicas.open(network, 'a')).rejects.toMatchObject({ code: expect.stringMatching(/^LOG_/) });
      const restored = await replicas.open(network, 'a', { restoreLog: true });
      expect(await restored.store.holders()).toEqual(['1', '2', '3']);
      await restored.store.hold('4', [X]);
      await expect(replicas.open(network, 'b')).rejects.toMatchObject({ code: 'LOG_REPLACED' });
      const c = await replicas.open(network, 'c');
      expect(await c.store.holders()).toEqual(['1', '2', '3', '4']);
    });

    test('a message that is missing between others', async () => {
      const a = await replicas.open(network, 'a');
      for (const holder of ['1', '2', '3']) await a.store.hold(holder, [X]);
      await jsm.streams.deleteMessage(names().stream, 2);
      await expect(replicas.open(network, 'b')).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    });
  });
});

/** A way to a nats-server that can be cut right after a message has gone through, so that its acknowledgement never comes back. */
async function cutAfterPublish(port: number): Promise<{ port: number; cut(subject: string): void; cuts(): number; close(): void }> {
  let armed: string | undefined;
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
      });
    }
    upstream.pipe(client);
    client.on('data', (data: Buffer) => {
      if (armed === undefined || !data.includes(`HPUB ${armed} `)) {
        upstream.write(data);
        return;
      }
      armed = undefined;
      cuts += 1;
      upstream.unpipe(client);
      upstream.end(data, () => client.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    cut(subject) {
      armed = subject;
    },
    cuts: () => cuts,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
