import fc from 'fast-check';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type BackendReport, withBackends } from '../../core/contract/backends.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { tracePath } from '../../renderer/this-pc/trace.ts';
import { backend, benchmarkResult } from '../fakes/benchmark.ts';
import { gpu } from '../fakes/hardware.ts';
import { crowded, practising, unsealed } from '../fakes/snapshots.ts';
import { cpuSample, gpuSample, samples } from '../fakes/telemetry.ts';
import { contrast } from './contrast.ts';
import { overflowing, textColours } from './look.ts';
import { closePage, launchBrowser, type Opened, openPage, type View } from './open-page.ts';

let browser: Browser;
let opened: Opened | undefined;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  if (opened !== undefined) expect(await closePage(opened)).toEqual([]);
  opened = undefined;
});

async function openPc(snapshot: Snapshot = withGpu(), view: View = {}): Promise<Opened> {
  opened = await openPage(browser, snapshot, view);
  await opened.page.getByRole('link', { name: 'This PC' }).click();
  await opened.page.locator('.this-pc').waitFor();
  return opened;
}

function withGpu(): Snapshot {
  const { hardware } = practising();
  if (hardware === null) throw new Error('the fake has hardware');
  return practising({ hardware: { ...hardware, gpus: [gpu()] }, backends: working() });
}

const ID = '0000:01:00.0';
function working(): BackendReport {
  return {
    cpu: backend({ name: 'cpu' }),
    gpus: [{ gpu: ID, backends: [backend()] }],
    workers: [{ gpu: ID, backend: 'webgpu', memoryBytes: 2 ** 30 }],
    reason: null,
  };
}

test('what there is to lend is said at the top in words and one number, with how it was tested', async () => {
  const { page, agent } = await openPc();
  await page.getByRole('heading', { level: 1, name: 'One GPU is ready' }).waitFor();
  await page.getByText('is sealed off: 3 attempts to break out, none got through.').waitFor();
  expect(await page.locator('.number').textContent()).toBe('1 of 1 GPU ready');
  agent.change({ hardware: practising().hardware });
  await page.getByRole('heading', { level: 1, name: 'No GPU to lend' }).waitFor();
  expect(await page.locator('.number').textContent()).toBe('16 cores');
  const found = page.getByRole('region', { name: 'What is in it' });
  await found.getByText('No GPU found: the CPU serves.').waitFor();
  await found.getByText('AMD Ryzen 9 5950X, 16 cores').waitFor();
});

test('while the hardware is being looked at the page says so, and fills when it is known', async () => {
  const { page, agent } = await openPc(practising({ hardware: null }));
  await page.getByRole('heading', { level: 1, name: 'Looking at this PC' }).waitFor();
  expect(await page.getByRole('region', { name: 'What is in it' }).count()).toBe(0);
  agent.change({ hardware: withGpu().hardware });
  const found = page.getByRole('region', { name: 'What is in it' });
  await found.getByText('24 GB of its own · a card of its own').waitFor();
  await found.getByText('Details').click();
  await found.getByText('nvidia 580.95.05').waitFor();
  await found.getByText('16 of 16 lanes, PCI Express 4 of 4').waitFor();
});

test('a divided card counts by its slices, and what stands in the way of one is told with what to do', async () => {
  const { hardware } = practising();
  const slice = (instance: number) =>
    gpu({
      id: `0000:01:00.0/gi${instance}/ci0`,
      name: `A100 slice ${instance}`,
      mig: { role: 'slice', parent: '0000:01:00.0', gpuInstance: instance, computeInstance: 0 },
    });
  const slices = [slice(1), slice(2)];
  const parent = gpu({ mig: { role: 'parent', slices: slices.map(({ id }) => id) } });
  const problems = [
    {
      gpu: parent.id,
      what: { key: 'isolation.windows', params: {} },
      next: { key: 'isolation.windows.remedy', params: {} },
    },
  ] as const;
  if (hardware === null) throw new Error('the fake has hardware');
  const { page } = await openPc(practising({ hardware: { ...hardware, gpus: [parent, ...slices], problems: [...problems] } }));
  await page.getByRole('heading', { level: 1, name: '2 GPUs, being tried out' }).waitFor();
  await page.getByText('divided into 2 slices').waitFor();
  await page.getByRole('region', { name: 'What stands in the way' }).getByText('NVIDIA GeForce RTX 3090: Windows').waitFor();
});

test('each way to compute says whether it works, what computes now, and what to do where it does not', async () => {
  const { page, agent } = await openPc();
  const found = page.getByRole('region', { name: 'What is in it' });
  await found.getByText('WebGPU works').waitFor();
  await found.getByText('computes now').waitFor();
  const broken = backend({
    ...{ name: 'cuda', works: false, testedAt: null, firstMs: null },
    reason: { key: 'backend.no-nvidia-driver', params: {} },
    remedy: { key: 'backend.nvidia-driver.remedy', params: {} },
  });
  const reason = { key: 'backend.cpu-serves-broken', params: {} } as const;
  const gpus = [{ gpu: ID, backends: [backend({ software: true }), broken] }];
  agent.change({ backends: { ...working(), gpus, workers: [{ gpu: null, backend: 'cpu', memoryBytes: 1 }], reason } });
  await page.getByRole('heading', { level: 1, name: 'One GPU, but nothing runs on it' }).waitFor();
  expect(await page.locator('.number').first().textContent()).toBe('0 of 1 GPU ready');
  await page.locator('.top').getByText("No backend works on this machine's GPU").waitFor();
  await found.getByText('works, but on the processor').waitFor();
  await found.getByText('Install NVIDIA driver 535 or newer').waitFor();
  await found.getByText('AMD Ryzen 9 5950X, 16 corescomputes now').waitFor();
});

test('measuring is started, followed and ended from here; a busy machine is measured only when that is wanted', async () => {
  const { page, agent } = await openPc();
  const card = page.getByRole('region', { name: 'How fast it is' });
  await card.getByText('Not measured yet').waitFor();
  agent.overrides['benchmark.run'] = () => Promise.reject(new HearthlendError('BENCHMARK_BUSY', { percent: 61 }));
  const first = agent.called('benchmark.run');
  await card.getByRole('button', { name: 'Measure quickly' }).click();
  expect((await first).input).toEqual({ quick: true, evenIfBusy: false });
  await card.getByRole('alert').getByText('Other programs use 61 %').waitFor();
  const over = Promise.withResolvers<void>();
  agent.overrides['benchmark.run'] = () => over.promise.then(() => benchmarkResult());
  agent.overrides['benchmark.cancel'] = async () => ({});
  const second = agent.called('benchmark.run');
  await card.getByRole('button', { name: 'Measure anyway' }).click();
  await expect
    .poll(() => agent.calls.filter(({ name }) => name === 'benchmark.run').at(-1)?.input)
    .toEqual({ quick: true, evenIfBusy: true });
  agent.send({
    event: 'benchmark.progress',
    data: { startedAt: 1, step: 3, steps: 12, backend: 'webgpu', gpu: ID, figure: 'tokens' },
  });
  await card.getByText('Measuring: Practice model (NVIDIA GeForce RTX 3090, WebGPU)').waitFor();
  const cancelled = agent.called('benchmark.cancel');
  await card.getByRole('button', { name: 'Cancel' }).click();
  await cancelled;
  agent.benchmark = { ...agent.benchmark, results: [benchmarkResult(), benchmarkResult({ at: 1, noise: { reason: 'busy', share: 0.4 } })] };
  agent.send({ event: 'benchmark.progress', data: null });
  over.resolve();
  await second;
  await card.locator('.newest').getByText('This PC writes about 530 words a second').waitFor();
  expect(await card.locator('.newest .number').textContent()).toBe('412 points');
  await card.getByText('no price known').waitFor();
  await card.getByText('Details').click();
  await card.getByText('11,300 GFLOP/s').waitFor();
  await card.getByText('text, 8 billion parameters in 4 bits').waitFor();
  expect(await card.getByText('70 billion').count()).toBe(0);
  await card.getByText('One before').click();
  expect(await card.locator('.before li').count()).toBe(1);
});

test('what an hour brings is a range by a network’s own quote with its date, and what it costs is said as far as it is known', async () => {
  opened = await openPage(browser, withGpu());
  const { page, agent } = opened;
  await page.locator('.home').waitFor();
  const { asset } = practising().earnings[0] as { asset: string };
  const quotedAt = new Date(2026, 4, 1).getTime();
  agent.benchmark = {
    results: [benchmarkResult()],
    running: null,
    earnings: {
      networks: [{ network: 'open', asset, leastPerHour: '120', mostPerHour: '4200', quotedAt }],
      electricity: { perHour: 0.0903, currency: 'EUR', watts: 301, measured: true },
    },
  };
  await page.reload();
  await page.getByRole('link', { name: 'This PC' }).click();
  await page.getByText(/^≈ 120 to 4,200 .*\(open, quoted May 1, 2026\)$/).waitFor();
  await page.getByText('€0.09 for 301 W, measured').waitFor();
});

test('gauges follow the samples; what is not told is unknown and has no line; at rest they are called old', async () => {
  const { page, agent } = await openPc();
  const live = page.getByRole('region', { name: 'Right now' });
  await live.getByText('I measure only while I work').waitFor();
  const now = await page.evaluate(() => Date.now());
  for (const sample of samples(3, now)) {
    const gpus = [gpuSample({ utilization: 0.5, temperatureCelsius: null, throttled: ['thermal', 'power'] })];
    agent.send({ event: 'telemetry.sample', data: { ...sample, gpus, cpu: cpuSample({ powerWatts: null }) } });
  }
  await live.getByRole('heading', { name: 'NVIDIA GeForce RTX 3090' }).waitFor();
  await live.getByText('Slowed down: too warm, at its power limit').waitFor();
  const [load, heat, power, memory] = await live.locator('.device').first().locator('.gauge').all();
  expect(await load?.textContent()).toMatch(/^Load50%/);
  expect(await load?.locator('path').getAttribute('d')).toMatch(/^M\S+ 14\.0 L\S+ 14\.0 L120\.0 14\.0$/);
  expect(await heat?.textContent()).toMatch(/^Temperatureunknown/);
  expect(await heat?.locator('path').getAttribute('d')).toBe('');
  expect(await power?.textContent()).toMatch(/^Power287 Wof 350 W/);
  expect(await memory?.textContent()).toMatch(/^Memory9 GBof 24 GB, 7 GB mine/);
  await page.clock.install();
  await page.clock.fastForward(10_000);
  await live.getByText(/At rest: last measured at \d\d:\d\d/).waitFor();
});

test('the history that the agent kept is there at once, with what a task takes, an estimate written as one', async () => {
  opened = await openPage(browser, withGpu());
  const { page, agent } = opened;
  await page.locator('.home').waitFor();
  const energy = { network: 'local', shardId: 'practice-1', attempt: 1, at: 1, joules: 3.24, estimated: true };
  agent.telemetry = { samples: samples(60, Date.now()), energies: [energy] };
  await page.reload();
  await page.getByRole('link', { name: 'This PC' }).click();
  await page.getByText('≈ 3.2 J a task, estimated').waitFor();
  expect((await page.locator('.trace path').first().getAttribute('d'))?.split('L')).toHaveLength(60);
});

test('a machine that is not sealed says so from Home on: why, the exact remedy, and what got through', async () => {
  opened = await openPage(browser, unsealed());
  const { page } = opened;
  await page.getByRole('link', { name: /^Not sealed/ }).click();
  const safety = page.getByRole('region', { name: 'Safety' });
  await safety.getByText('bubblewrap is not installed.').waitFor();
  expect(await safety.evaluate((card) => card === document.activeElement)).toBe(true);
  await safety.getByText('sudo apt-get install bubblewrap').waitFor();
  await safety.getByText('whatever your own programs can').waitFor();
  const network = safety.locator('details').filter({ hasText: 'The internet and your network' });
  await network.getByText('1 of 1 got through').waitFor();
  expect(await safety.getByText('connect to 1.1.1.1').isVisible()).toBe(false);
  await network.locator('summary').focus();
  await page.keyboard.press('Enter');
  await safety.getByText('connect to 1.1.1.1').waitFor();
  expect(await page.getByText('Sealed: no network').count()).toBe(0);
});

test('the attempts to break out are made anew at a press, and what they came to is told', async () => {
  const { page, agent } = await openPc();
  const { hardware } = withGpu();
  const safety = page.getByRole('region', { name: 'Safety' });
  const answered = Promise.withResolvers<void>();
  agent.overrides['doctor.report'] = async ({ isolation }) => {
    expect(isolation).toBe(true);
    await answered.promise;
    if (hardware === null) throw new Error('the fake has hardware');
    const attempts = ['one', 'two'].map((name) => ({ name, kind: 'memory' as const, succeeded: name === 'two', detail: 'x' }));
    const { workers, reason } = working();
    return {
      hardware: withBackends(hardware, working()),
      computing: { workers, reason },
      isolation: { ...agent.snapshot.isolation, probe: { at: 1, attempts } },
    };
  };
  await safety.getByRole('button', { name: 'Try to break out now' }).click();
  await safety.getByRole('button', { name: 'Trying to break out…' }).waitFor();
  answered.resolve();
  await safety.getByText('1 of 2 got through').waitFor();
  await page.getByText('Something got out of the box').waitFor();
  agent.overrides['doctor.report'] = () => Promise.reject(new HearthlendError('DISK_FULL', { path: '/data' }));
  await safety.getByRole('button', { name: 'Try to break out now' }).click();
  await safety.getByRole('alert').getByText('The disk with /data is full.').waitFor();
});

test('each attempt says which wall stopped it, and what the system denies to everybody counts for none', async () => {
  const { page, agent } = await openPc();
  const attempt = { succeeded: false, detail: 'EPERM' } as const;
  const attempts = [
    { ...attempt, name: 'read the keystore', kind: 'files', wall: 'mounts' },
    { ...attempt, name: 'open /dev/mem', kind: 'files', wall: 'kernel' },
    { ...attempt, name: 'load a kernel module', kind: 'privilege', wall: 'kernel' },
  ] as const;
  agent.change({ isolation: { ...agent.snapshot.isolation, probe: { at: 1, attempts: [...attempts] } } });
  await page.getByText('is sealed off: 1 attempt to break out').waitFor();
  const files = page.locator('.kinds details').first();
  await files.getByText('tried once, stopped').waitFor();
  await files.locator('summary').click();
  await files.getByText('not there, or read-only').waitFor();
  await files.getByText('the bare kernel; not counted').waitFor();
  await page.locator('.kinds details').nth(1).getByText('nobody may, here').waitFor();
});

test('a bug report gets this PC’s description, and no number of one machine', async () => {
  const { page } = await openPc();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.getByRole('button', { name: 'Copy this PC’s description'.replace('’', "'") }).click();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  expect(text).toContain('NVIDIA GeForce RTX 3090');
  expect(text).toContain('hearthlend: "0.1.0"');
  expect(text).not.toContain('0x51f2');
  await page.getByText('Show what is copied').click();
  expect(await page.locator('pre').textContent()).toBe(text);
});

test('a trace stays in its picture, and nothing is drawn over a time of which nothing is known', () => {
  const box = { end: 100_000, spanMs: 60_000, max: 10, width: 120, height: 28 };
  const reading = fc.record({ at: fc.integer({ min: 0, max: 120_000 }), value: fc.option(fc.double({ min: -5, max: 50, noNaN: true })) });
  fc.assert(
    fc.property(fc.array(reading), (readings) => {
      const path = tracePath(
        readings.sort((a, b) => a.at - b.at),
        box,
      );
      const points = [...path.matchAll(/[ML](\S+) (\S+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const);
      const known = readings.filter(({ at, value }) => value !== null && at >= 40_000 && at <= 100_000);
      expect(points).toHaveLength(known.length);
      for (const [x, y] of points) expect(x >= 0 && x <= 120 && y >= 0 && y <= 28).toBe(true);
    }),
  );
  const at = (ms: number, value: number | null) => ({ at: ms, value });
  expect(tracePath([at(90_000, 5), at(91_000, 5), at(92_000, null), at(93_000, 5), at(99_500, 5)], box).replaceAll(/[\d. ]/g, '')).toBe(
    'MLMM',
  );
});

test.each([
  ['narrow', { width: 320, height: 740 }],
  ['wide, at 200% zoom', { width: 640, height: 400, scale: 2 }],
  ['wide', { width: 1280, height: 800 }],
])('nothing overflows on this page when everything is as long as it may get: %s', async (_name, view) => {
  const { page, agent } = await openPc(crowded(), view);
  agent.benchmark = { ...agent.benchmark, results: [benchmarkResult(), benchmarkResult({ at: 1 })] };
  agent.send({ event: 'benchmark.progress', data: null });
  await page.locator('.newest').waitFor();
  agent.send({ event: 'telemetry.sample', data: { at: Date.now(), cpu: cpuSample(), gpus: [gpuSample()] } });
  await page.locator('.gauge').first().waitFor();
  for (const details of await page.locator('details').all()) await details.evaluate((each) => each.setAttribute('open', ''));
  expect(await overflowing(page)).toEqual([]);
});

test.each(['dark', 'light'] as const)('every text on this page is at 4.5:1 or better, also when it is old: %s', async (theme) => {
  const { page, agent } = await openPc(unsealed(), { theme });
  agent.benchmark = {
    ...agent.benchmark,
    results: [benchmarkResult({ noise: { reason: 'busy', share: 0.4 } }), benchmarkResult({ at: 1 })],
  };
  agent.send({ event: 'benchmark.progress', data: null });
  await page.locator('.newest').waitFor();
  agent.send({ event: 'telemetry.sample', data: { at: Date.now(), cpu: cpuSample(), gpus: [gpuSample({ throttled: ['thermal'] })] } });
  await page.locator('.gauge').first().waitFor();
  for (const details of await page.locator('details').all()) await details.evaluate((each) => each.setAttribute('open', ''));
  const tooFaint = async () => (await textColours(page)).filter(({ colour, ground }) => contrast(colour, ground) < 4.5);
  expect(await tooFaint()).toEqual([]);
  await agent.stop();
  await page.locator('.stale').waitFor();
  await page.getByText('Not connected').first().waitFor();
  expect(await tooFaint()).toEqual([]);
});
