import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Wallet } from 'ethers';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { appPorts } from '../../cli/ports/app-ports.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { type App, createApp } from '../../core/app.ts';
import type { EmbeddedCoordinator } from '../../core/contract/jobs.ts';
import { messageOf } from '../../core/contract/messages.ts';
import type { PauseRecord, SignalChange, SignalContext } from '../../core/contract/policy.ts';
import type { AnyEvent } from '../../core/contract/rpc.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { writeNpz } from '../../core/jobs/npz.ts';
import { slowModel, slowTurns } from '../fixtures/onnx-models.ts';
import { temporaryFolder } from './program.ts';

/** A real agent with a real worker, whose signals are the test's. */
let app: App;
let coordinator: EmbeddedCoordinator;
let dataDir = '';
let publish: (change: SignalChange) => void;
/** What the agent connected as. */
let agent: { address: string; payee: string };
const snapshot: Partial<Snapshot> = {};
const looking = new Set<() => void>();

const QUICK = { pause: true, added: [], removed: [], resumeAfterMs: 1000 };

beforeAll(async () => {
  dataDir = temporaryFolder('yield');
  const folder = join(dataDir, 'model');
  mkdirSync(folder);
  writeFileSync(join(folder, 'model.onnx'), slowModel()['model.onnx'] as Uint8Array);
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, rules: { programs: QUICK } };
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  const ports = appPorts({ dataDir, installation: findInstallation(import.meta.filename) });
  app = await createApp({
    ...ports,
    log: () => undefined,
    signalSources: [
      {
        name: 'the test',
        start(context: SignalContext) {
          publish = context.publish;
          return () => undefined;
        },
      },
    ],
    async createCoordinator(needs) {
      coordinator = await ports.createCoordinator(needs);
      const connect = coordinator.connect;
      coordinator.connect = (worker) => {
        agent ??= worker;
        return connect(worker);
      };
      return coordinator;
    },
  });
  app.events((event: AnyEvent) => {
    if (event.event === 'changed') Object.assign(snapshot, event.data);
    for (const look of [...looking]) look();
  });
  Object.assign(snapshot, await app.handlers['app.watch']({}));
  await app.start({ shards: null, networks: ['local'] });
});

afterAll(() => app.stop({ now: true }));

/** Waits until what the screen is told is so. */
async function until(so: (now: Partial<Snapshot>) => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const look = () => {
      if (!so(snapshot)) return;
      looking.delete(look);
      resolve();
    };
    looking.add(look);
    look();
  });
}

/** Has the worker compute for so many turns of a loop, some microsecond each; resolves once it is in the middle of that. */
async function busy(turns: number): Promise<string> {
  snapshot.load = null;
  const inputs = join(dataDir, 'inputs.npz');
  await writeNpz(inputs, slowTurns(turns));
  const model = join(dataDir, 'model/model.onnx');
  const { id } = await app.handlers['job.submit']({ model, inputs, threads: 1, wallMs: 600_000 });
  await until(({ current, load = null }) => current?.origin === 'own' && load !== null && load > 0.2);
  return id;
}

async function lastPause(): Promise<PauseRecord> {
  const last = (await app.handlers['policy.history']({ from: 0, to: Date.now() + 1 })).at(-1);
  if (last === undefined) throw new Error('nothing was paused');
  return last;
}

async function endJob(jobId: string): Promise<void> {
  await app.handlers['job.cancel']({ jobId });
  await until(({ current }) => current === null);
}

const FOREVER = 2 ** 40;

test('a listed program starts: the worker is gone, another worker has the task at once, and the memory that came back is on record', async () => {
  const jobId = await busy(FOREVER);
  const { shardId } = snapshot.current as { shardId: string };
  publish({ programs: [{ name: 'Cyberpunk2077', pid: 77 }] });
  await until(
    ({ state, recent }) => state?.name === 'paused' && recent?.some((row) => row.shardId === shardId && row.state === 'released') === true,
  );
  expect(messageOf((snapshot.state as Snapshot['state']).reason)).toBe("Cyberpunk2077 is running. I'll go on 1 s after it closes.");

  const other = Wallet.createRandom().address;
  await coordinator.connect({ address: other, payee: other });
  const reply = await coordinator.lease({ isolation: 'os', warmModels: [], memoryBytes: 2 ** 32, practice: false });
  expect(reply).toMatchObject({ type: 'lease', lease: { shard: { id: shardId }, attempt: 2 } });
  await coordinator.release(shardId, 2, 'stopped', null);
  await coordinator.connect(agent);

  await until(({ current }) => current === null);
  const pause = await lastPause();
  expect(pause).toMatchObject({
    to: null,
    reason: { key: 'policy.programs' },
    freed: { memory: { by: process.platform === 'linux' ? 'process' : 'machine' } },
  });
  expect(pause.yieldMs).toBeGreaterThan(0);
  if (process.platform === 'linux') {
    expect(pause.freed?.memory.leftBytes).toBe(0);
    expect(pause.freed?.memory.bytes).toBeGreaterThan(20 * 2 ** 20);
  }
  expect(snapshot.day?.spans.at(-1)).toMatchObject({ kind: 'aside', reason: { key: 'policy.programs' } });

  // It closes, and work goes on by itself.
  publish({ programs: [] });
  await until(({ state }) => state?.reason.key === 'policy.over');
  await until(({ current }) => current?.shardId === shardId && current.attempt === 3);
  expect((await lastPause()).to).not.toBeNull();
  await endJob(jobId);
});

test('what the user says pauses at once, and a start says which rules it goes against and leaves the others', async () => {
  const jobId = await busy(FOREVER);
  await app.handlers['work.pause']({ forMs: 3_600_000 });
  expect(await lastPause()).toMatchObject({ reason: { key: 'reason.paused-until' }, yieldMs: expect.any(Number) });
  await app.handlers['work.resume']({});
  expect((await lastPause()).to).not.toBeNull();

  publish({ idleMs: 0 });
  await app.handlers['settings.set']({ rules: { idle: { whenInUse: 'pause', afterMs: 60_000, duty: 0.5 } } });
  await until(({ state }) => state?.reason.key === 'policy.idle');
  const started = await app.handlers['work.start']({ forMs: 3_600_000 });
  expect(started.overrides).toEqual(['idle']);
  await until(({ state }) => state?.reason.key === 'policy.started' && state.name === 'working');
  publish({ programs: [{ name: 'Doom', pid: 3 }] });
  await until(({ state }) => state?.reason.key === 'policy.programs');
  const { decisions } = await app.handlers['policy.status']({});
  expect(decisions[0]).toMatchObject({ act: 'pause', rules: ['programs', 'idle'], overridden: ['idle'] });

  publish({ programs: [], idleMs: null });
  await app.handlers['settings.set']({ rules: { preset: 'gaming-pc', programs: QUICK } });
  await app.handlers['work.resume']({});
  await until(({ current }) => current !== null);
  await endJob(jobId);
});

test('a share of the time is a share of the load, and the words say why', async (ctx) => {
  const jobId = await busy(FOREVER);
  await app.handlers['settings.set']({ rules: { limits: { duty: 0.25 } } });
  await until(({ state }) => state?.reason.key === 'policy.duty');
  expect(messageOf((snapshot.state as Snapshot['state']).reason)).toBe('I work 25% of the time, as your rules say.');
  if (process.platform === 'linux' && snapshot.isolation?.level === 'os') await until(({ load = null }) => load !== null && load < 0.5);
  else ctx.annotate('without bubblewrap a worker rests between tasks alone');
  await app.handlers['settings.set']({ rules: { limits: { duty: 1 } } });
  await until(({ state }) => state?.reason.key === 'reason.own-job');
  await endJob(jobId);
});

test('the task that runs may end first where it ends soon, and is handed in; nothing is leased after it', async () => {
  const jobId = await busy(3_000_000);
  await app.handlers['work.pause']({ forMs: null, finish: true });
  await until(({ state }) => state?.reason.key === 'policy.finishing');
  await until(({ state }) => state?.reason.key === 'policy.manual.finish');
  // Handed in behind it.
  await until(({ recent }) => recent?.[0]?.state === 'accepted' && recent[0].attempt === 1);
  expect((await app.handlers['job.show']({ jobId })).state).toBe('done');
  expect(await lastPause()).toMatchObject({ to: null, reason: { key: 'policy.manual.finish' } });
  // What the worker had loaded went with it, and is loaded again before anybody asks for it.
  const loaded = () => readdirSync(join(dataDir, 'workers/cpu/models'));
  expect(loaded()).toEqual([]);
  await app.handlers['work.resume']({});
  await vi.waitFor(() => expect(loaded()).toHaveLength(1), { timeout: 10_000, interval: 20 });
});

test('asleep and awake: what the user said of pausing stays as it is', async () => {
  await app.handlers['work.pause']({ forMs: null });
  await app.suspend();
  await until(({ state }) => state?.reason.key === 'reason.suspended');
  app.wake();
  await until(({ state }) => state?.reason.key === 'reason.paused-by-you');
  await app.handlers['work.resume']({});
  await app.suspend();
  app.wake();
  await until(({ state }) => state?.name !== 'paused');
});

test('what would be decided can be asked with other signals and rules', async () => {
  const { signals } = await app.handlers['policy.status']({});
  const power = { value: { source: 'battery' as const, percent: 40 }, at: signals.steadyMs };
  const ask = (rules: object) => app.handlers['policy.test']({ signals: { ...signals, power }, rules });
  expect((await ask({})).decisions[0]).toMatchObject({ device: 'cpu', act: 'pause', rules: ['battery'] });
  expect((await ask({ preset: 'always' })).decisions[0]).toMatchObject({ act: 'run' });
});
