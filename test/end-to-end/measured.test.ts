import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { appPorts } from '../../cli/ports/app-ports.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { type App, createApp } from '../../core/app.ts';
import type { AnyEvent } from '../../core/contract/rpc.ts';
import { TelemetryHistory } from '../../core/contract/telemetry.ts';
import { temporaryFolder } from './program.ts';

const installation = findInstallation(join(import.meta.dirname, '../../cli/main.ts'));

/** A whole agent in this process, and everything that it tells. */
async function agent() {
  const app: App = await createApp(appPorts({ dataDir: temporaryFolder('measured'), installation }));
  const events: AnyEvent[] = [];
  app.events((event) => events.push(event));
  onTestFinished(async () => void (await app.stop({ now: true })));
  const states = () => events.flatMap((each) => (each.event === 'changed' && each.data.state !== undefined ? [each.data.state] : []));
  return { ...app, app, events, states };
}

const until = (expected: () => void) => vi.waitFor(expected, { timeout: 60_000, interval: 50 });

test('what the machine tells while it works is told to who watches, and kept', async () => {
  const { app, events, handlers } = await agent();
  const samples = () => events.filter(({ event }) => event === 'telemetry.sample');
  expect(samples()).toEqual([]);
  await app.start({ shards: null, networks: ['local'] });
  await until(() => expect(samples().length).toBeGreaterThanOrEqual(3));
  const history = TelemetryHistory.parse(await handlers['telemetry.history']({}));
  expect(history.samples.length).toBeGreaterThanOrEqual(3);
  const times = history.samples.map(({ at }) => at);
  for (const [at, time] of times.entries()) if (at > 0) expect(time - (times[at - 1] as number)).toBeGreaterThan(500);
  if (process.platform === 'linux') await until(() => expect(events).toContainEqual(busyWorker));
});

/** A sample in which a worker computes. */
const busyWorker = expect.objectContaining({
  event: 'telemetry.sample',
  data: expect.objectContaining({
    cpu: expect.objectContaining({ workerCores: expect.any(Number), workerMemoryBytes: expect.any(Number) }),
  }),
});

test('measuring sets the work aside; cancelled, it goes on as it was to be by then', async () => {
  const { app, events, states, handlers } = await agent();
  await app.start({ shards: null, networks: ['local'] });
  const working = () => states().at(-1)?.name === 'working';
  await until(() => expect(working()).toBe(true));

  const first = handlers['benchmark.run']({ quick: true, evenIfBusy: true }).catch((error: { code: string }) => error.code);
  await until(() => expect(events).toContainEqual({ event: 'benchmark.progress', data: expect.objectContaining({ backend: 'cpu' }) }));
  expect(states().at(-1)).toMatchObject({ name: 'paused', reason: { key: 'reason.measuring' } });
  expect(await handlers['benchmark.history']({})).toMatchObject({ results: [], running: { figure: expect.any(String) } });
  await expect(handlers['benchmark.run']({ quick: true, evenIfBusy: true })).rejects.toMatchObject({ code: 'BENCHMARK_RUNNING' });
  const since = events.length;
  await handlers['benchmark.cancel']({});
  expect(await first).toBe('CANCELLED');
  await until(() => expect(events.slice(since)).toContainEqual({ event: 'benchmark.progress', data: null }));
  await until(() => expect(working()).toBe(true));

  // What the user says meanwhile holds afterwards.
  const second = handlers['benchmark.run']({ quick: true, evenIfBusy: true }).catch((error: { code: string }) => error.code);
  await until(() => expect(states().at(-1)?.reason.key).toBe('reason.measuring'));
  void handlers['work.pause']({ forMs: null, untilIdle: false, finish: false });
  await handlers['benchmark.cancel']({});
  expect(await second).toBe('CANCELLED');
  await until(() => expect(states().at(-1)?.reason.key).not.toBe('reason.measuring'));
  expect(states().at(-1)?.name).toBe('paused');
  expect(await handlers['benchmark.history']({})).toMatchObject({
    results: [],
    running: null,
    earnings: { networks: [], electricity: { perHour: null } },
  });
});
