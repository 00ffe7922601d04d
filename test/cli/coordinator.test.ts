import { expect, test } from 'vitest';
import type { Operated, OperateRequest } from '../../cli/operator/request.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { CoordinatorStatus } from '../../core/contract/operating.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const LINK = `hearthlend://join?at=10.0.0.5%3A7422&secret=${'s'.repeat(43)}&sha256=${'a'.repeat(64)}`;
const status: CoordinatorStatus = {
  ...{ id: 'studio-1a2b3c4d', operator: 'Ann', version: '0.1.0', pid: 1, startedAt: 0, now: 0, fingerprint: 'a'.repeat(64) },
  ...{ https: ['https://10.0.0.5:7422'], servers: ['tls://10.0.0.5:7423'], metrics: 'http://127.0.0.1:7425/metrics', ownNats: true },
  ...{ coordinators: 1, workers: { joined: 0, connected: 0, suspended: 0, revoked: 0 }, openInvitations: 1 },
  jobs: { queued: 0, running: 0, done: 0, failed: 0, cancelled: 0 },
  shards: { queued: 0, leased: 0, settling: 0 },
  ...{ audits: { valid: 0, bad: 0, undecided: 0 }, money: [], escrow: null },
};

function operator(wall: Operated['wall'] = 'bubblewrap') {
  const asked: OperateRequest[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  let closed = 0;
  const operated = {
    handlers: { status: async () => status, invite: async () => ({ link: LINK, expiresAt: Date.UTC(2026, 10, 21) }) },
    ...{ wall, failed: failed.promise },
    async close() {
      closed += 1;
    },
  } as unknown as Operated;
  const at = openConsole(() => new FakeApp(), {
    async operate(request) {
      asked.push(request);
      return operated;
    },
  });
  return { at, asked, fail: failed.reject, closed: () => closed };
}

test('it says where machines join, shows the link and its QR code, and stops when asked to', async () => {
  const { at, asked, closed } = operator();
  const running = at.run('coordinator', '--name', 'Studio', '--advertise', '10.0.0.5', '--websocket', '--terms', 'terms.json');
  await running.stdout.seen(/Ctrl-C/);
  expect(running.stdout.text).toContain('The network studio-1a2b3c4d, run by Ann, is at work.');
  expect(running.stdout.text).toContain(`hearthlend network join "${LINK}"`);
  expect(running.stdout.text).toMatch(/█▀▀|▄▄▄▄▄/);
  expect(running.stdout.text).not.toContain('no sandbox');
  running.signal('SIGINT');
  expect(await running.exitCode).toBe(0);
  expect(closed()).toBe(1);
  expect(asked).toMatchObject([
    {
      name: 'Studio',
      advertise: ['10.0.0.5'],
      websocket: true,
      terms: `${at.dataDir}/terms.json`,
      port: 7422,
      nats: null,
      announced: true,
    },
  ]);
});

test('programs read one line of JSON with all of it', async () => {
  const { at } = operator();
  const running = at.run('coordinator', '--json', '--no-announce');
  await running.stdout.seen(/\n/);
  running.signal('SIGTERM');
  expect(await running.exitCode).toBe(0);
  expect(running.stdout.json()).toEqual([
    { event: 'started', ...status, invitation: { link: LINK, expiresAt: expect.any(Number) } },
    { event: 'stopped' },
  ]);
});

test('where no sandbox stands around what audits, that is said', async () => {
  const { at } = operator('none');
  const running = at.run('coordinator');
  await running.stdout.seen(/without one/);
  running.signal('SIGINT');
  expect(await running.exitCode).toBe(0);
});

test('a coordinator that can not go on says why, closes, and fails', async () => {
  const { at, fail, closed } = operator();
  const running = at.run('coordinator');
  await running.stdout.seen(/Ctrl-C/);
  fail(new HearthlendError('NATS_FAILED', { detail: 'the disk is full' }));
  expect(await running.exitCode).toBe(1);
  expect(running.stderr.text).toContain('nats-server could not be kept running: the disk is full.');
  expect(closed()).toBe(1);
});

test('wrong usage is refused before anything is started', async () => {
  const { at, asked } = operator();
  for (const argv of [
    ['--port', '70000'],
    ['--port', 'x'],
    ['--name', ' '],
    ['--name', 'n'.repeat(65)],
    ['--advertise', 'https://x'],
    ['--nats', 'tls://a:1'],
    ['--nats-creds', 'file'],
    ['--nats', 'http://a:1', '--nats-creds', 'file'],
    ['--nats', 'tls://a:1,wss://b:2', '--nats-creds', 'file'],
    ['--nats', 'tls://a:1', '--nats-creds', 'file', '--websocket'],
    ['revoke', 'ann'],
    ['share'],
  ]) {
    const refused = at.run('coordinator', ...argv);
    expect([argv, await refused.exitCode]).toEqual([argv, 2]);
    expect(refused.stderr.text).toContain('(USAGE)');
  }
  expect(await at.run('network', 'invite', '--expires', '90d').exitCode).toBe(2);
  expect(asked).toEqual([]);
});

test('the operator’s other commands say that no coordinator runs', async () => {
  const { at } = operator();
  for (const argv of [
    ['coordinator', 'status'],
    ['coordinator', 'workers'],
    ['coordinator', 'revoke', `0x${'1'.repeat(40)}`],
    ['network', 'invite'],
  ]) {
    const refused = at.run(...argv);
    expect([argv, await refused.exitCode]).toEqual([argv, 1]);
    expect(refused.stderr.text).toContain('(COORDINATOR_NOT_RUNNING)');
  }
});
