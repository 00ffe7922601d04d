import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { slowModel, slowTurns } from '../../fixtures/onnx-models.ts';
import { model, node, tensor, value } from '../../fixtures/onnx-writer.ts';
import {
  bare,
  failure,
  float32,
  generateTask,
  int64,
  runTask,
  sandboxed,
  storeModel,
  storePracticeModel,
  supervise,
  temporaryFolder,
  tokensOf,
} from './workbench.ts';

const inputs = new Map([['x', float32([1, 4], [1, 2, 3, 4])]]);
/** A model whose weights take about so many bytes, each with another digest. */
function weighing(bytes: number, seed: number) {
  const columns = bytes / 16;
  const weights = new Float32Array(columns * 4).fill(seed);
  return storeModel({
    'model.onnx': model({
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      inputs: [value('x', 'float32', [1, 4])],
      outputs: [value('y', 'float32', [1, columns])],
      constants: [tensor('w', 'float32', [4, columns], weights)],
    }),
  });
}

test.each([
  ['behind the wall', sandboxed],
  ['without one', bare],
])('a shard is computed %s, with its commitment, and the model stays loaded', async (_where, launch) => {
  const supervisor = supervise({ launch });
  const states: string[] = [];
  supervisor.onState((state) => states.push(state.name));
  const stored = weighing(1024, 2);
  const first = await supervisor.run(runTask(stored, inputs));
  expect(first.commitment).toBe(createHash('sha256').update(first.outputs).digest('hex'));
  expect(first.loadMs).toBeGreaterThan(0);
  expect(first.residentBytes).toBeGreaterThan(2 ** 20);
  const second = await supervisor.run(runTask(stored, inputs));
  expect(second).toMatchObject({ commitment: first.commitment, loadMs: null });
  expect(supervisor.warmModels()).toEqual([stored.digest]);
  expect(states).toEqual(['starting', 'busy', 'ready', 'busy', 'ready']);
  const { msToGone } = await supervisor.stop();
  expect(msToGone).toBeLessThan(2_000);
  expect(states.at(-1)).toBe('stopped');
  expect(supervisor.warmModels()).toEqual([]);
});

test('what an agent that was killed had given its worker is gone once the next one is open, before any work', async () => {
  const workDir = temporaryFolder();
  mkdirSync(join(workDir, 'models/left'), { recursive: true });
  writeFileSync(join(workDir, 'models/left/model.onnx'), 'of a stranger');
  await supervise({ workDir }).stop();
  expect(readdirSync(join(workDir, 'models'))).toEqual([]);
});

test('models are unloaded, the least recently used first, so that all stay within the bound', async () => {
  const supervisor = supervise({ modelMemoryBytes: 10 * 2 ** 20 });
  const [a, b, c] = [weighing(4 * 2 ** 20, 1), weighing(4 * 2 ** 20, 2), weighing(4 * 2 ** 20, 3)] as const;
  await supervisor.run(runTask(a, inputs));
  for (const stored of [b, a, c]) await supervisor.run(runTask(stored, inputs));
  const warm = supervisor.warmModels();
  expect(warm[0]).toBe(c.digest);
  expect(warm).not.toContain(b.digest);
  expect(readdirSync(join(supervisor.workDir, 'models')).sort()).toEqual([...warm].sort());
  const tooMuch = weighing(11 * 2 ** 20, 4);
  expect(await failure(supervisor.run(runTask(tooMuch, inputs)))).toMatchObject({ code: 'MODEL_OVER_MEMORY' });
  await supervisor.stop();
  expect(readdirSync(join(supervisor.workDir, 'models'))).toEqual([]);
});

test('the worker is given hard links, never symbolic ones', async () => {
  const supervisor = supervise();
  const stored = weighing(1024, 3);
  await supervisor.run(runTask(stored, inputs));
  const given = lstatSync(join(supervisor.workDir, 'models', stored.digest, 'model.onnx'));
  expect(given.isFile()).toBe(true);
  expect(given.ino).toBe(lstatSync(stored.files.get('model.onnx') as string).ino);
});

test('a model whose file is missing or has another size never reaches the worker', async () => {
  const supervisor = supervise();
  const stored = weighing(1024, 4);
  expect(await failure(supervisor.run(runTask({ ...stored, files: new Map() }, inputs)))).toMatchObject({ code: 'MODEL_INVALID' });
  const [file] = stored.manifest.files;
  const manifest = { ...stored.manifest, files: [{ ...(file as NonNullable<typeof file>), bytes: 3 }] };
  expect(await failure(supervisor.run(runTask({ ...stored, manifest }, inputs)))).toMatchObject({ code: 'MODEL_INVALID' });
  expect(await failure(supervisor.run(runTask({ ...stored, files: new Map([['model.onnx', '/nowhere']]) }, inputs)))).toMatchObject({
    code: 'FILE_UNREADABLE',
  });
  expect((await supervisor.run(runTask(stored, inputs))).tokensMade).toBe(0);
});

test('cancelling kills the worker in the middle of a run, and the next run starts anew', async () => {
  const supervisor = supervise();
  const stored = storeModel(slowModel());
  const controller = new AbortController();
  const running = failure(supervisor.run(runTask(stored, slowTurns(1e9)), { signal: controller.signal }));
  await new Promise<void>((resolve) => supervisor.onState((state) => state.name === 'busy' && resolve()));
  controller.abort();
  expect(await running).toEqual({ code: 'CANCELLED', params: {} });
  expect(await failure(supervisor.run(runTask(stored, slowTurns(1)), { signal: controller.signal }))).toMatchObject({ code: 'CANCELLED' });
  expect((await supervisor.run(runTask(stored, slowTurns(1)))).loadMs).toBeGreaterThan(0);
});

test('a generation that nobody wants any more ends between two tokens, and its worker goes on with the model loaded', async () => {
  const supervisor = supervise();
  const stored = storePracticeModel();
  const task = generateTask(stored, [5, 6, 7], { maxNewTokens: 100, stopTokens: [] });
  const expected = tokensOf((await supervisor.run(task)).outputs);
  const worker = childPid();
  const controller = new AbortController();
  const told: number[] = [];
  const onToken = (token: number) => {
    told.push(token);
    if (told.length === 3) controller.abort('revoked');
  };
  expect(await failure(supervisor.run(task, { onToken, signal: controller.signal }))).toMatchObject({ code: 'CANCELLED' });
  expect(told).toEqual(expected.slice(0, 3));
  expect(childPid()).toBe(worker);
  const next = await supervisor.run(task);
  expect(next.loadMs).toBeNull();
  expect(tokensOf(next.outputs)).toEqual(expected);
});

test('a reason for cancelling that is an error of ours is what the run rejects with, even while the worker starts', async () => {
  const supervisor = supervise();
  const controller = new AbortController();
  supervisor.onState((state) => state.name === 'starting' && controller.abort(new HearthlendError('LEASE_EXPIRED', { shard: 's' })));
  const running = supervisor.run(runTask(storeModel(slowModel()), slowTurns(1e9)), { signal: controller.signal });
  expect(await failure(running)).toEqual({ code: 'LEASE_EXPIRED', params: { shard: 's' } });
});

test('a worker that is killed while it has nothing to do is started anew with the next run', async () => {
  const supervisor = supervise();
  const stored = weighing(1024, 6);
  await supervisor.run(runTask(stored, inputs));
  const gone = new Promise<void>((resolve) => supervisor.onState((state) => state.name === 'stopped' && resolve()));
  process.kill(childPid(), 'SIGKILL');
  await gone;
  expect(supervisor.warmModels()).toEqual([]);
  expect((await supervisor.run(runTask(stored, inputs))).loadMs).toBeGreaterThan(0);
});

test('stopping ends what runs and what waits, and tells how long it took until the worker was gone', async () => {
  const supervisor = supervise();
  const stored = storeModel(slowModel());
  const running = failure(supervisor.run(runTask(stored, slowTurns(1e9))));
  const waiting = failure(supervisor.run(runTask(stored, slowTurns(1))));
  const pid = new Promise<number>((resolve) => supervisor.onState((state) => state.name === 'busy' && resolve(childPid())));
  const worker = await pid;
  const { msToGone } = await supervisor.stop();
  expect(msToGone).toBeLessThan(2_000);
  expect(stateOf(worker)).toBeNull();
  expect(await running).toMatchObject({ code: 'WORKER_STOPPED' });
  expect(await waiting).toMatchObject({ code: 'WORKER_STOPPED' });
  expect((await supervisor.run(runTask(stored, slowTurns(1)))).tokensMade).toBe(0);
  await supervisor.dispose();
  expect(await failure(supervisor.run(runTask(stored, slowTurns(1))))).toMatchObject({ code: 'WORKER_STOPPED' });
});

test('a real model that runs longer than its limit, or needs more memory, is stopped', async () => {
  const supervisor = supervise();
  const slow = storeModel(slowModel());
  expect(await failure(supervisor.run(runTask(slow, slowTurns(1e9), { wallMs: 300 })))).toEqual({
    code: 'WORKER_TIMEOUT',
    params: { limitMs: 300 },
  });
  const hungry = storeModel({
    'model.onnx': model({
      nodes: [node('ConstantOfShape', ['shape'], ['ones']), node('ReduceSum', ['ones'], ['y'])],
      inputs: [value('shape', 'int64', [1])],
      outputs: [value('y', 'float32', null)],
    }),
  });
  const limited = (elements: number) => runTask(hungry, new Map([['shape', int64([1], [elements])]]), { memoryBytes: 2 ** 27 });
  expect((await supervisor.run(limited(1_000_000))).tokensMade).toBe(0);
  expect(await failure(supervisor.run(limited(300_000_000)))).toEqual({ code: 'WORKER_OUT_OF_MEMORY', params: { limitBytes: 2 ** 27 } });
});

test('load is measured between calls while a shard is computed, and unknown otherwise', async () => {
  const supervisor = supervise();
  const stored = storePracticeModel();
  expect(supervisor.load()).toBeNull();
  const loads: (number | null)[] = [];
  await supervisor.run(generateTask(stored, [0, 99], { maxNewTokens: 120, stopTokens: [] }), {
    onToken: (_token, index) => {
      if (index === 0 || index === 119) loads.push(supervisor.load());
    },
  });
  expect(loads[1]).toBeGreaterThan(0);
  expect(loads[1]).toBeLessThanOrEqual(1);
  expect(supervisor.load()).toBeNull();
});

test('runs take their turn', async () => {
  const supervisor = supervise();
  const stored = weighing(1024, 5);
  const made = await Promise.all([1, 2, 3].map(() => supervisor.run(runTask(stored, inputs))));
  expect(made.map((each) => each.loadMs === null)).toEqual([false, true, true]);
});

/** The newest child of this process. */
function childPid(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return Math.max(...children);
}
/** Its state in /proc, null where it is gone. */
function stateOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] ?? null;
  } catch {
    return null;
  }
}
