import { readdirSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { describeError } from '../../../core/contract/messages.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { treeUsage } from '../../../core/supervisor/process-usage.ts';
import { model as emptyModel } from '../../fixtures/onnx-writer.ts';
import { failure, float32, generateTask, hostile, runTask, storeModel, supervise, tokensOf } from './workbench.ts';

const model = () => storeModel({ 'model.onnx': emptyModel({ nodes: [], inputs: [], outputs: [] }) });
const inputs = new Map([['x', float32([1], [1])]]);

/** What a run, or a generation, on a worker of this behaviour rejects with; and that the worker is gone then. */
async function against(behaviour: string, kind: 'run' | 'generate' = 'run', wallMs = 10_000) {
  const supervisor = supervise({ launch: hostile(behaviour) });
  const limits = { outputBytes: 4096, wallMs, memoryBytes: 2 ** 28 };
  const task = kind === 'run' ? runTask(model(), inputs, limits) : generateTask(model(), [0], { ...limits, maxNewTokens: 3 });
  const found = await failure(supervisor.run(task));
  expect(supervisor.warmModels()).toEqual([]);
  expect(describeError(new HearthlendError(found.code as never, found.params)).what).toMatch(/\w/);
  return found;
}

test('a fake that does as agreed is believed', async () => {
  const supervisor = supervise({ launch: hostile('nothing') });
  const made = await supervisor.run(runTask(model(), inputs));
  expect(decodeSafetensors(made.outputs).get('y')?.data).toEqual(Uint8Array.of(7));
  expect(tokensOf((await supervisor.run(generateTask(model(), [0], { maxNewTokens: 3 }))).outputs)).toEqual([1, 2, 3]);
});

test.each([
  'writes-rubbish',
  'announces-a-huge-header',
  'announces-a-huge-body',
  'sends-no-json',
  'sends-an-unknown-reply',
  'sends-extra-fields',
  'answers-another-request',
  'answers-with-another-type',
  'is-ready-again',
  'sends-other-outputs',
  'sends-no-blob',
  'blames-the-ledger',
  'is-at-a-loss-for-words',
])('a worker that %s is killed for breaking its protocol', async (behaviour) => {
  expect(await against(behaviour)).toMatchObject({ code: 'WORKER_PROTOCOL' });
});

test.each(['skips-a-token', 'makes-tokens-without-end', 'takes-tokens-back', 'counts-more-tokens', 'sends-data-with-a-token'])(
  'a worker that %s is killed for breaking its protocol',
  async (behaviour) => {
    expect(await against(behaviour, 'generate')).toMatchObject({ code: 'WORKER_PROTOCOL' });
  },
);

test('a worker that answers more than it may is killed, at the latest when that much has come', async () => {
  expect(await against('sends-too-much')).toEqual({ code: 'OUTPUT_TOO_LARGE', params: { limitBytes: 4096 } });
  expect(await against('sends-without-end')).toEqual({ code: 'OUTPUT_TOO_LARGE', params: { limitBytes: 4096 } });
});

test('a worker that hangs is killed at the time limit', async () => {
  expect(await against('hangs', 'run', 100)).toEqual({ code: 'WORKER_TIMEOUT', params: { limitMs: 100 } });
});

test('a worker that eats memory is killed at the memory limit', async () => {
  expect(await against('eats-memory')).toEqual({ code: 'WORKER_OUT_OF_MEMORY', params: { limitBytes: 2 ** 28 } });
});

test('a worker that starts threads without end is killed for it', async () => {
  const real = nativeWorkers(hostile('hangs'));
  const supervisor = supervise({
    start: (needs) => Object.assign(real(needs), { usage: () => ({ residentBytes: 1, cpuMs: 0, threads: 30_000 }) }),
  });
  expect(await failure(supervisor.run(runTask(model(), inputs)))).toEqual({
    code: 'WORKER_PROTOCOL',
    params: { detail: 'it runs 30000 threads' },
  });
});

test.runIf(process.platform === 'linux')('threads are counted as the system does', () => {
  const threads = readdirSync('/proc/self/task').length;
  expect(Math.abs((treeUsage(process.pid)?.threads ?? 0) - threads)).toBeLessThan(50);
});

test('a worker that ends in the middle of a task is reported with how it ended', async () => {
  expect(await against('exits')).toEqual({ code: 'WORKER_CRASHED', params: { how: 'exit code 7' } });
  expect(await against('crashes')).toEqual({ code: 'WORKER_CRASHED', params: { how: 'signal SIGSEGV' } });
});

test('a worker that does not start says why, as far as it can', async () => {
  expect(await against('exits-at-start')).toMatchObject({
    code: 'WORKER_START_FAILED',
    params: { detail: expect.stringMatching(/exit code 3.*libwonder\.so/) },
  });
  expect(await against('greets-at-start')).toMatchObject({ code: 'WORKER_PROTOCOL' });
  const missing = supervise({ launch: () => ({ ...hostile('nothing')(), command: '/nowhere/node' }) });
  expect(await failure(missing.run(runTask(model(), inputs)))).toMatchObject({ code: 'WORKER_START_FAILED' });
});

test('a worker that is never ready is given up', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const supervisor = supervise({ launch: hostile('never-ready') });
  supervisor.onState((state) => state.name === 'starting' && vi.advanceTimersByTime(10_000));
  expect(await failure(supervisor.run(runTask(model(), inputs)))).toEqual({
    code: 'WORKER_START_FAILED',
    params: { detail: 'it was not ready after 10 s' },
  });
});

test('however much a worker writes to stderr, it is read, and no more than its end is kept', async () => {
  const supervisor = supervise({ launch: hostile('shouts') });
  expect((await supervisor.run(runTask(model(), inputs))).tokensMade).toBe(0);
  const said: string[] = [];
  const crashing = supervise({
    launch: hostile('shouts-and-exits'),
    log: (_level, _event, facts) => said.push(String(facts?.stderr ?? '')),
  });
  expect(await failure(crashing.run(runTask(model(), inputs)))).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(said.at(-1)).toMatch(/x\nthe last line\n$/);
  expect(said.at(-1)?.length).toBeLessThanOrEqual(16 * 1024);
});

test('what a worker says that computed for a stranger is not logged', async () => {
  const logged: unknown[] = [];
  const supervisor = supervise({ launch: hostile('shouts-and-exits'), log: (...line) => logged.push(line) });
  const task = runTask(model(), inputs);
  expect(await failure(supervisor.run({ ...task, shard: { ...task.shard, origin: 'network' } }))).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(JSON.stringify(logged)).toContain('WORKER_CRASHED');
  expect(JSON.stringify(logged)).not.toContain('the last line');
});

test('a worker that fails again and again is started ever more rarely, and anew when the pause is over', async () => {
  let now = 1_000_000;
  let behaviour = 'exits';
  const supervisor = supervise({ launch: () => hostile(behaviour)(), clock: () => now });
  const states: object[] = [];
  supervisor.onState((state) => states.push(state));
  const run = () => supervisor.run(runTask(model(), inputs));
  expect(await failure(run())).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(await failure(run())).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(states.at(-1)).toEqual({ name: 'backing-off', retryAt: now + 1_000, failures: 2 });
  expect(await failure(run())).toEqual({ code: 'WORKER_BACKING_OFF', params: { count: 2, seconds: 1 } });
  now += 1_000;
  expect(await failure(run())).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(await failure(run())).toEqual({ code: 'WORKER_BACKING_OFF', params: { count: 3, seconds: 2 } });
  now += 2_000;
  behaviour = 'nothing';
  await run();
  behaviour = 'exits';
  await supervisor.stop();
  expect(await failure(run())).toMatchObject({ code: 'WORKER_CRASHED' });
  expect(await failure(run())).toMatchObject({ code: 'WORKER_CRASHED' });
});

test('a clock that was put back does not keep the worker from starting', async () => {
  let now = 1_000_000_000;
  const supervisor = supervise({ launch: hostile('exits'), clock: () => now });
  const run = () => failure(supervisor.run(runTask(model(), inputs)));
  await run();
  await run();
  expect(await run()).toMatchObject({ code: 'WORKER_BACKING_OFF' });
  now -= 3_600_000;
  expect(await run()).toMatchObject({ code: 'WORKER_CRASHED' });
});

test('limits and cancelling spend nothing of the crash budget', async () => {
  const supervisor = supervise({ launch: hostile('hangs') });
  for (let round = 0; round < 3; round += 1) {
    expect(await failure(supervisor.run(runTask(model(), inputs, { wallMs: 20 })))).toMatchObject({ code: 'WORKER_TIMEOUT' });
  }
});
