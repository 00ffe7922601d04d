import { expect, test } from 'vitest';
import { slowModel, slowTurns } from '../../fixtures/onnx-models.ts';
import { bare, failure, runTask, sandboxed, storeModel, supervise, wall } from './workbench.ts';

const TURNS = 600_000;

/** Share of the elapsed time in which the worker computed, over one shard. */
async function shareOf(duty: number): Promise<{ share: number; runMs: number; elapsedMs: number }> {
  const supervisor = supervise({ launch: sandboxed });
  const stored = storeModel(slowModel());
  await supervisor.run(runTask(stored, slowTurns(10)));
  supervisor.setDuty(duty);
  const before = supervisor.usage()?.cpuMs ?? 0;
  const startedAt = performance.now();
  const { runMs } = await supervisor.run(runTask(stored, slowTurns(TURNS)));
  const elapsedMs = performance.now() - startedAt;
  return { share: ((supervisor.usage()?.cpuMs ?? 0) - before) / elapsedMs, runMs, elapsedMs };
}

test('a worker computes for its share of the time alone, and what it rested is no part of what its shard took', async (ctx) => {
  if (wall.program === null || process.platform !== 'linux') ctx.skip('only in bubblewrap can a worker be frozen safely');
  const { share, runMs, elapsedMs } = await shareOf(0.2);
  expect(share).toBeLessThan(0.35);
  expect(runMs).toBeLessThan(elapsedMs * 0.6);
});

test('a frozen worker is gone at once when it is killed, and one that is let go goes on', async () => {
  const supervisor = supervise({ launch: sandboxed });
  const stored = storeModel(slowModel());
  supervisor.setDuty(0.05);
  const running = supervisor.run(runTask(stored, slowTurns(2 ** 40)));
  running.catch(() => undefined);
  await new Promise<void>((resolve) => supervisor.onState(({ name }) => name === 'busy' && resolve()));
  expect((await supervisor.stop()).msToGone).toBeLessThan(2000);
  expect(await failure(running)).toMatchObject({ code: 'WORKER_STOPPED' });
  supervisor.setDuty(1);
  await supervisor.run(runTask(stored, slowTurns(10)));
});

test('where it can not be frozen it rests after a shard, until it need not any longer or is stopped', async () => {
  const supervisor = supervise({ launch: bare });
  const stored = storeModel(slowModel());
  supervisor.setDuty(0.05);
  await supervisor.run(runTask(stored, slowTurns(200_000)));
  const resting = supervisor.run(runTask(stored, slowTurns(10)));
  const abort = new AbortController();
  const later = supervisor.run(runTask(stored, slowTurns(10)), { signal: abort.signal });
  supervisor.setDuty(1);
  await resting;
  await later;
  supervisor.setDuty(0.05);
  await supervisor.run(runTask(stored, slowTurns(200_000)));
  const stopped = supervisor.run(runTask(stored, slowTurns(10)));
  stopped.catch(() => undefined);
  await supervisor.stop();
  expect(await failure(stopped)).toMatchObject({ code: 'WORKER_STOPPED' });
});

test('the time in which a worker was frozen does not count against the limit of its shard', async (ctx) => {
  if (wall.program === null || process.platform !== 'linux') ctx.skip('only in bubblewrap can a worker be frozen safely');
  const supervisor = supervise({ launch: sandboxed });
  const stored = storeModel(slowModel());
  const { runMs } = await supervisor.run(runTask(stored, slowTurns(TURNS)));
  supervisor.setDuty(0.2);
  // Alone it takes less than half of it, with its rests more than twice as much.
  const { runMs: paced } = await supervisor.run(runTask(stored, slowTurns(TURNS), { wallMs: Math.ceil(runMs * 3) }));
  expect(paced).toBeGreaterThan(0);
});

test('a model can be loaded ahead of its shard', async () => {
  const supervisor = supervise();
  const stored = storeModel(slowModel());
  const task = runTask(stored, slowTurns(10));
  await supervisor.warm(task);
  expect(supervisor.warmModels()).toEqual([stored.digest]);
  expect((await supervisor.run(task)).loadMs).toBeNull();
});
