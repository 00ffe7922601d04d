import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import { ref } from '../../core/contract/messages.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const headless = ['start', '--headless', '--json'];

test('start with a number of shards tells of each one that is accepted, ends by itself and says what it did last', async () => {
  const app = new FakeApp();
  app.onStart = () => {
    app.accept(20);
    app.finish();
  };
  const command = openConsole(() => app).run(...headless, '--network', 'local', '--shards', '20');
  expect(await command.exitCode).toBe(0);
  const lines = command.stdout.json();
  expect(lines[0]).toMatchObject({ event: 'started', pid: process.pid, version: '0.1.0' });
  const accepted = lines.filter(({ event }) => event === 'accepted').map(({ shard }) => shard);
  expect(accepted).toEqual(Array.from({ length: 20 }, (_, index) => `practice-${index + 1}`));
  expect(lines.at(-1)).toEqual({ event: 'summary', accepted: 20, rejected: 0, failed: 0, released: 0, ms: 1234 });
  expect(app.started).toEqual({ shards: 20, networks: ['local'] });
  expect(command.stderr.text).toBe('');
});

test('shards that were accepted before this start are not told again', async () => {
  const app = new FakeApp();
  app.accept(3, Date.now() - 1000);
  app.onStart = () => {
    app.accept(1);
    app.finish();
  };
  const command = openConsole(() => app).run(...headless);
  await command.exitCode;
  expect(command.stdout.json().filter(({ event }) => event === 'accepted')).toMatchObject([{ shard: 'practice-4' }]);
});

test('a new state is told once, with its reason', async () => {
  const app = new FakeApp();
  const state = { name: 'proven', reason: ref('reason.proven'), since: 1, until: null } as const;
  app.onStart = () => {
    app.emit({ event: 'changed', data: { state } });
    app.emit({ event: 'changed', data: { state: { ...state, since: 2 } } });
    app.finish();
  };
  const console = openConsole(() => app);
  const command = console.run('start', '--headless');
  expect(await command.exitCode).toBe(0);
  expect(command.stdout.text.match(/Your machine is proven: No paid work yet/g)).toHaveLength(1);
});

test('the first Ctrl-C finishes the shard and leaves with a summary', async () => {
  const app = new FakeApp();
  const command = openConsole(() => app).run('start', '--headless');
  await command.stdout.seen(/is running/);
  command.signal('SIGINT');
  expect(await command.exitCode).toBe(0);
  expect(app.stops).toEqual([{ now: false }]);
  expect(command.stderr.text).toContain('Press Ctrl-C again to leave now.');
  expect(command.stdout.lines().at(-1)).toMatch(/^0 tasks accepted in 1 s/);
});

test('the second Ctrl-C leaves now, though a shard runs, and says that it failed to finish', async () => {
  const app = new FakeApp();
  app.busy = true;
  const command = openConsole(() => app).run(...headless);
  await command.stdout.seen(/"started"/);
  command.signal('SIGINT');
  command.signal('SIGTERM');
  expect(await command.exitCode).toBe(1);
  expect(app.stops).toEqual([{ now: false }, { now: true }]);
  expect(command.stdout.json().at(-1)).toMatchObject({ event: 'summary' });
});

test('the endpoint file is for its owner only while the agent runs, and gone after it', async () => {
  const app = new FakeApp();
  const console = openConsole(() => app);
  const command = console.run(...headless);
  await command.stdout.seen(/"started"/);
  const path = join(console.dataDir, 'agent.json');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(Object.keys(JSON.parse(readFileSync(path, 'utf8'))).sort()).toEqual(['pid', 'port', 'startedAt', 'token', 'version']);
  command.signal('SIGTERM');
  await command.exitCode;
  expect(existsSync(path)).toBe(false);
  expect(app.listeners).toBe(0);
});

test('a second agent on the same data folder is refused with the process id of the first', async () => {
  const console = openConsole(() => new FakeApp());
  const first = console.run(...headless);
  await first.stdout.seen(/"started"/);
  const second = console.run(...headless);
  expect(await second.exitCode).toBe(1);
  expect(second.stdout.json()).toMatchObject([
    { event: 'error', code: 'AGENT_RUNNING', message: expect.stringContaining(String(process.pid)) },
  ]);
  first.signal('SIGINT');
  expect(await first.exitCode).toBe(0);
});

test('a short command that holds the data folder is waited for', async () => {
  const short = new FakeApp();
  const apps = [short];
  const console = openConsole(() => apps.pop() ?? new FakeApp());
  const read = Promise.withResolvers<void>();
  const reading = Promise.withResolvers<void>();
  const plain = short.handlers['earnings.summary'];
  short.handlers['earnings.summary'] = async (input) => {
    reading.resolve();
    await read.promise;
    return plain(input);
  };
  const earnings = console.run('earnings');
  await reading.promise;
  const agent = console.run(...headless);
  read.resolve();
  expect(await earnings.exitCode).toBe(0);
  await agent.stdout.seen(/"started"/);
  agent.signal('SIGINT');
  expect(await agent.exitCode).toBe(0);
});

test('a port that another program holds is named, and the data folder is let go', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { port: number };
  const app = new FakeApp();
  const command = openConsole(() => app).run('start', '--headless', '--port', String(port));
  expect(await command.exitCode).toBe(1);
  expect(command.stderr.text).toContain(`The port ${port} is used by another program.`);
  expect(command.stderr.text).toContain('Choose another with --port');
  expect(app.stops).toEqual([{ now: true }]);
  expect(command.stdout.text).toBe('');
  await new Promise((resolve) => other.close(resolve));
});

test('a network that nobody knows is refused before anything starts', async () => {
  const app = new FakeApp();
  const command = openConsole(() => app).run('start', '--headless', '--network', 'wss://example.com');
  expect(await command.exitCode).toBe(1);
  expect(command.stderr.text).toContain('There is no network wss://example.com.');
  expect([app.started, app.stops]).toEqual([undefined, [{ now: true }]]);
});

test('an agent works for all its networks unless some are named', async () => {
  const app = new FakeApp();
  app.onStart = () => app.finish();
  expect(await openConsole(() => app).run('start', '--headless').exitCode).toBe(0);
  expect(app.started).toEqual({ shards: null, networks: null });
});

test('an agent that can not go on says why and fails', async () => {
  const app = new FakeApp();
  app.onStart = () => app.fail(new HearthlendError('LEDGER_BROKEN', { detail: 'its tail is gone' }));
  const command = openConsole(() => app).run(...headless);
  expect(await command.exitCode).toBe(1);
  expect(command.stdout.json().at(-1)).toMatchObject({ event: 'error', code: 'LEDGER_BROKEN' });
});

test('without a display the address is printed with a code and the reason, and root is told apart', async () => {
  for (const [world, reason] of [
    [{ env: {}, uid: 1000 }, 'there is no display here'],
    [{ env: { DISPLAY: ':0' }, uid: 0 }, 'you are root'],
    [{ env: { SSH_CONNECTION: '1' }, platform: 'darwin' }, 'this is a remote session'],
  ] as const) {
    const command = openConsole(() => new FakeApp(), world).run('start');
    await command.stdout.seen(/http:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{43}\nA new one: npx hearthlend open/);
    expect(command.stdout.text).toContain(reason);
    command.signal('SIGINT');
    expect(await command.exitCode).toBe(0);
  }
});
