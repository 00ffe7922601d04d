import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, type TestContext, test, vi } from 'vitest';
import { type GpuSample, type ShardEnergy, TelemetryHistory, type TelemetrySample } from '../../../core/contract/telemetry.ts';
import { findNvidiaSmi, nvidiaSource } from '../../../core/telemetry/nvidia.ts';
import { createTelemetry, type TelemetryOptions } from '../../../core/telemetry/telemetry.ts';

const FAKE = fileURLToPath(new URL('../../fakes/nvidia-smi.mjs', import.meta.url));
const KEY = { network: 'local', shardId: 's1', attempt: 1 };

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearthlend-telemetry-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A tool that behaves like nvidia-smi in some mood, and a source that streams it. */
function smi(context: TestContext, mood: string) {
  context.skip(process.platform === 'win32', 'Windows starts no script by its first line');
  const dir = folder();
  const program = join(dir, 'nvidia-smi.mjs');
  copyFileSync(FAKE, program);
  chmodSync(program, 0o755);
  const setMood = (next: string) => writeFileSync(join(dir, 'mood'), next);
  setMood(mood);
  const source = nvidiaSource({ program, firstBackOffMs: 10, silenceMs: 1500 });
  onTestFinished(() => source.stop());
  const starts = () =>
    (existsSync(join(dir, 'starts')) ? readFileSync(join(dir, 'starts'), 'utf8').trimEnd().split('\n') : []).filter((line) =>
      line.includes('--query-gpu'),
    );
  return { source, setMood, starts };
}

const until = (expected: () => void) => vi.waitFor(expected, { timeout: 30_000, interval: 20 });

test('the stream tells the GPU and whose its memory is; half a line more tells nothing', async (context) => {
  const { source } = smi(context, 'fine 1024 4711');
  source.start();
  const mib = 2 ** 20;
  await until(() => expect(source.read(new Set([4711]))).toMatchObject([{ gpu: '0000:2d:00.0', memoryOursBytes: 1024 * mib }]));
  expect(source.read(new Set([4711]))).toMatchObject([{ powerWatts: 131.52, throttled: ['power'], memoryOthersBytes: 3092 * mib }]);
  expect(source.read(new Set())).toMatchObject([{ memoryOursBytes: 0, memoryOthersBytes: 4116 * mib }]);
  expect(source.read(null)).toMatchObject([{ memoryUsedBytes: 4116 * mib, memoryOursBytes: null, memoryOthersBytes: null }]);
  const pids = source.pids();
  expect(pids).toHaveLength(2);
  source.stop();
  expect(source.read(null)).toEqual([]);
  await until(() => expect(pids.filter(isRunning)).toEqual([]));
});

test('memory of a program that the driver does not tell of makes the parts unknown, never zero', async (context) => {
  const { source } = smi(context, 'fine [N/A] 4711');
  source.start();
  await until(() => expect(source.read(null)).toHaveLength(1));
  await until(() => expect(source.pids()).toHaveLength(2));
  expect(source.read(new Set([4711]))).toMatchObject([{ memoryOursBytes: null, memoryOthersBytes: null }]);
});

test('a tool that dies is started again, and what it told lately still counts', async (context) => {
  const { source, starts, setMood } = smi(context, 'dies');
  source.start();
  await until(() => expect(starts().length).toBeGreaterThan(2));
  expect(source.read(null)).toHaveLength(1);
  setMood('fine');
  const before = starts().length;
  await until(() => expect(starts().length).toBeGreaterThan(before));
});

test('a tool that never works is given up until the next stretch of work', async (context) => {
  const { source, starts } = smi(context, 'broken');
  source.start();
  await until(() => expect(starts()).toHaveLength(6));
  // The last one may still be about to end: until it has, there is nothing to start.
  await until(() => {
    source.start();
    expect(starts().length).toBeGreaterThan(6);
  });
  source.stop();
  expect(source.read(null)).toEqual([]);
});

test('a tool that hangs is killed and started again', async (context) => {
  const { source, starts, setMood } = smi(context, 'hangs');
  source.start();
  await until(() => expect(starts()).toHaveLength(1));
  setMood('fine');
  await until(() => expect(source.read(null)).toHaveLength(1));
  expect(isRunning(Number(starts()[0]?.split(' ')[0]))).toBe(false);
});

test("a property that the tool doesn't know any more is asked for under its newer name", async (context) => {
  const { source } = smi(context, 'newer');
  source.start();
  await until(() => expect(source.read(null)).toMatchObject([{ throttled: ['power'] }]));
});

test('a machine without the tool has no source; a tool that vanished is not looked for again', async () => {
  const none = nvidiaSource({ program: join(folder(), 'nvidia-smi') });
  none.start();
  none.start();
  await until(() => expect(none.pids()).toEqual([]));
  expect(none.read(null)).toEqual([]);
  none.stop();
  expect(findNvidiaSmi('darwin', {})).toBeNull();
  const dir = folder();
  writeFileSync(join(dir, 'nvidia-smi'), '');
  expect(findNvidiaSmi('linux', { PATH: `relative:${dir}` })).toMatch(/^\/.*nvidia-smi$/);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Telemetry of a machine that has nothing to tell, on a clock of the test. */
function telemetry(options: Partial<TelemetryOptions> = {}) {
  vi.useFakeTimers({ now: 1_000_000 });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const samples: TelemetrySample[] = [];
  const told: ShardEnergy[] = [];
  const opened = createTelemetry({
    clock: Date.now,
    workers: () => null,
    nvidia: null,
    loadWatts: () => null,
    onSample: (sample) => samples.push(sample),
    onEnergies: (energies) => told.push(...energies),
    root: folder(),
    ...options,
  });
  onTestFinished(() => opened.close());
  return { ...opened, samples, told, wait: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

test('samples come once a second while a shard runs, and end within seconds of idleness', async () => {
  const { started, ended, idle, history, samples, wait } = telemetry();
  await wait(5000);
  expect(samples).toEqual([]);
  started(KEY);
  await wait(10_000);
  expect(samples.map(({ at }) => at - 1_005_000)).toEqual([0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]);
  ended(KEY.network, KEY.shardId, 'cpu');
  idle();
  await wait(60_000);
  expect(samples.length).toBeLessThanOrEqual(14);
  expect(TelemetryHistory.parse(history()).samples).toEqual(samples);
});

test('a pause between two shards ends nothing', async () => {
  const { started, ended, idle, samples, wait } = telemetry();
  for (let shard = 1; shard <= 5; shard += 1) {
    started({ ...KEY, attempt: shard });
    await wait(1000);
    ended(KEY.network, KEY.shardId, 'cpu');
    idle();
    await wait(2000);
  }
  expect(samples).toHaveLength(16);
});

test('the history goes back five minutes and no further', async () => {
  const { started, history, wait } = telemetry();
  started(KEY);
  await wait(400_000);
  const { samples } = history();
  expect(samples).toHaveLength(300);
  await wait(0);
  expect(samples[0]?.at).toBe(1_000_000 + 101_000);
});

test("a shard's energy is power over its run; without a sensor it is an estimate, and without either unknown", async () => {
  const measured = telemetry({ loadWatts: () => 80 });
  measured.started(KEY);
  await measured.wait(2500);
  measured.ended(KEY.network, KEY.shardId, 'cpu');
  expect(measured.history().energies).toEqual([]);
  await measured.wait(1000);
  expect(measured.history().energies).toEqual([{ ...KEY, at: 1_002_500, joules: expect.closeTo(200, 0), estimated: true }]);
  await measured.wait(2000);
  expect(measured.told).toEqual(measured.history().energies);
  vi.useRealTimers();
  const unknown = telemetry();
  unknown.started(KEY);
  await unknown.wait(1500);
  unknown.ended(KEY.network, KEY.shardId, 'cpu');
  await unknown.wait(1000);
  expect(unknown.history().energies).toEqual([]);
});

test('a shard that runs for hours has all of its energy', async () => {
  const { started, ended, wait, history } = telemetry({ loadWatts: () => 100 });
  started(KEY);
  await wait(2 * 3_600_000);
  ended(KEY.network, KEY.shardId, 'cpu');
  await wait(1000);
  expect(history().energies).toEqual([{ ...KEY, at: 1_000_000 + 7_200_000, joules: expect.closeTo(720_000, -2), estimated: true }]);
});

test("a GPU's shard takes the GPU's power, and what came to no result none", async () => {
  const gpu = { gpu: '0000:01:00.0', utilization: 0.5, powerWatts: 200, powerLimitWatts: 400 };
  const nvidia = { start: () => undefined, stop: () => undefined, pids: () => [], read: () => [gpu as GpuSample] };
  const { started, ended, wait, history } = telemetry({ nvidia });
  started(KEY);
  started({ ...KEY, shardId: 's2' });
  await wait(3000);
  ended(KEY.network, 's2', null);
  ended(KEY.network, KEY.shardId, gpu.gpu);
  await wait(1000);
  expect(history().energies).toEqual([{ ...KEY, at: 1_003_000, joules: expect.closeTo(600, 0), estimated: false }]);
  gpu.powerWatts = null as unknown as number;
  await wait(1000);
  started(KEY);
  await wait(2000);
  ended(KEY.network, KEY.shardId, gpu.gpu);
  await wait(1000);
  // Without a sensor: what the card may take at most, by how much of the time it worked.
  expect(history().energies.at(-1)).toMatchObject({ joules: expect.closeTo(400, 0), estimated: true });
});

test('something else that computes is watched until it is done', async () => {
  const { watch, samples, wait } = telemetry();
  const leave = watch();
  await wait(3000);
  leave();
  await wait(30_000);
  expect(samples.length).toBeGreaterThanOrEqual(4);
  expect(samples.length).toBeLessThan(9);
});
