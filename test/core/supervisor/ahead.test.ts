import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { encodeFramePrefix } from '../../../core/contract/frame.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { StartedWorker, Usage, WorkerListener } from '../../../core/contract/worker-host.ts';
import { WORKER_FRAME_LIMITS, type WorkerReply, type WorkerRequest } from '../../../core/contract/worker-messages.ts';
import { AT_ONCE } from '../../../core/supervisor/pipeline.ts';
import { createSupervisor, type SupervisorOptions } from '../../../core/supervisor/supervisor.ts';
import { slowModel, slowTurns } from '../../fixtures/onnx-models.ts';
import { failure, float32, generateTask, runTask, storeModel, supervise, temporaryFolder } from './workbench.ts';

type Compute = Extract<WorkerRequest, { type: 'run' | 'generate' }>;

/** A worker of this process that loads at once and answers the rest when it is told to. */
class ToldWorker implements StartedWorker {
  readonly pid = undefined;
  readonly readyMs = 1000;
  readonly runtimeBytes = 2 ** 20;
  killed = false;
  residentBytes = 1000;
  /** What it was asked and hasn't answered. */
  readonly asked: Compute[] = [];
  /** Requests that it was told to end. */
  readonly toEnd: number[] = [];
  #listener: WorkerListener | undefined;

  listen(listener: WorkerListener): void {
    this.#listener = listener;
    queueMicrotask(() => this.say({ type: 'ready', onnxruntime: '1', node: null }));
  }

  send(request: WorkerRequest): void {
    const { id } = request;
    if (request.type === 'load') {
      const outputs = [{ name: 'y', type: 'float32' as const, shape: [1] }];
      queueMicrotask(() => this.say({ type: 'loaded', id, loadMs: 1, inputs: [], outputs, residentBytes: this.residentBytes }));
    } else if (request.type === 'end') this.toEnd.push(id);
    else if (request.type === 'unload') queueMicrotask(() => this.say({ type: 'unloaded', id }));
    else this.asked.push(request as Compute);
  }

  /** Answers what it was asked first; the output holds the number of the request. */
  answer({ name = 'y', residentBytes = this.residentBytes } = {}): void {
    const { id } = this.asked.shift() as Compute;
    const body = encodeSafetensors(new Map([[name, float32([1], [id])]]));
    this.say({ type: 'result', id, runMs: 1, tokensMade: 0, nearTies: 0, residentBytes }, body);
  }

  /** Answers a generation. */
  finish(tokens: number[]): void {
    const { id } = this.asked.shift() as Compute;
    const data = new Uint8Array(BigInt64Array.from(tokens, BigInt).buffer);
    const body = encodeSafetensors(new Map([['tokens', { type: 'int64', shape: [tokens.length], data }]]));
    this.say({ type: 'result', id, runMs: 1, tokensMade: tokens.length, nearTies: 0, residentBytes: this.residentBytes }, body);
  }

  crash(): void {
    this.killed = true;
    this.#listener?.gone('signal SIGSEGV');
  }

  kill(): void {
    if (this.killed) return;
    this.killed = true;
    queueMicrotask(() => this.#listener?.gone('signal SIGKILL'));
  }

  usage(): Usage | null {
    return this.killed ? null : { residentBytes: this.residentBytes, cpuMs: 0, threads: 1 };
  }

  say(reply: WorkerReply, body: Uint8Array = new Uint8Array(0)): void {
    if (this.killed) return;
    this.#listener?.data(encodeFramePrefix(reply, body.byteLength, WORKER_FRAME_LIMITS));
    if (body.byteLength > 0) this.#listener?.data(body);
  }
}

const stored = () => storeModel({ 'model.onnx': new Uint8Array(8) });
const inputs = new Map([['x', float32([1], [1])]]);

/** A supervisor whose workers do what the test says. */
function open(options: Partial<SupervisorOptions> = {}) {
  const workers: ToldWorker[] = [];
  const supervisor = createSupervisor({
    workDir: temporaryFolder(),
    modelMemoryBytes: 2 ** 30,
    vet: async () => undefined,
    clock: Date.now,
    ...options,
    start() {
      const worker = new ToldWorker();
      workers.push(worker);
      return worker;
    },
  });
  onTestFinished(() => supervisor.dispose());
  /** Waits until the worker that was started last was asked so many things that it hasn't answered. */
  const asked = async (count: number, started = 1) => {
    while (workers.length < started || (workers.at(-1)?.asked.length ?? 0) < count) await new Promise((resolve) => setImmediate(resolve));
    return workers.at(-1) as ToldWorker;
  };
  return { supervisor, workers, asked };
}

/** Lets everything that can happen by itself happen. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('a worker finds its next shards when it has answered one, in their order, and never more than some', async () => {
  const { supervisor, asked } = open();
  const task = runTask(stored(), inputs);
  const begun: number[] = [];
  const runs = [0, 1, 2, 3, 4, 5, 6].map((number) => supervisor.run(task, { onBegin: () => begun.push(number) }));
  const worker = await asked(AT_ONCE);
  await quiet();
  expect(worker.asked).toHaveLength(AT_ONCE);
  expect(begun).toEqual([0]);
  worker.answer();
  await runs[0];
  await asked(AT_ONCE);
  await quiet();
  expect(worker.asked).toHaveLength(AT_ONCE);
  expect(begun).toEqual([0, 1]);
  for (let left = 6; left > 0; left -= 1) {
    await asked(1);
    worker.answer();
  }
  const made = await Promise.all(runs);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(made.map(({ commitment }) => commitment)).size).toBe(7);
  expect(made.map(({ outputs, commitment }) => createHash('sha256').update(outputs).digest('hex') === commitment)).not.toContain(false);
});

test('a shard for which something is to be loaded, with large inputs, or of a worker that is to rest is not sent ahead', async () => {
  const { supervisor, asked } = open();
  const [first, second] = [stored(), storeModel({ 'model.onnx': new Uint8Array(9) })];
  const running = supervisor.run(runTask(first, inputs));
  const worker = await asked(1);
  const large = new Map([['x', float32([5_000_000], new Array(5_000_000).fill(0))]]);
  for (const task of [runTask(second, inputs), runTask(first, inputs, { intraOpThreads: 3 }), runTask(first, large)]) {
    const abort = new AbortController();
    const waiting = failure(supervisor.run(task, { signal: abort.signal }));
    await quiet();
    expect(worker.asked).toHaveLength(1);
    abort.abort();
    expect(await waiting).toMatchObject({ code: 'CANCELLED' });
  }
  supervisor.setDuty(0.5);
  const later = supervisor.run(runTask(first, inputs));
  await quiet();
  expect(worker.asked).toHaveLength(1);
  worker.answer();
  await running;
  supervisor.setDuty(1);
  (await asked(1)).answer();
  expect((await later).tokensMade).toBe(0);
});

test('the limit of time of a shard that waits in the worker begins when that comes to it', async () => {
  const { supervisor, asked } = open();
  const model = stored();
  const first = supervisor.run(runTask(model, inputs, { wallMs: 10_000 }));
  await asked(1);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const second = failure(supervisor.run(runTask(model, inputs, { wallMs: 1_000 })));
  const worker = await asked(2);
  vi.advanceTimersByTime(5_000);
  expect(worker.killed).toBe(false);
  worker.answer();
  await first;
  vi.advanceTimersByTime(999);
  expect(worker.killed).toBe(false);
  vi.advanceTimersByTime(2);
  expect(await second).toEqual({ code: 'WORKER_TIMEOUT', params: { limitMs: 1_000 } });
});

test.each([
  ['crashes', (worker: ToldWorker) => worker.crash(), { code: 'WORKER_CRASHED' }],
  ['is answered with what it did not ask for', (worker: ToldWorker) => worker.answer({ name: 'z' }), { code: 'WORKER_PROTOCOL' }],
  ['takes too much memory', (worker: ToldWorker) => worker.answer({ residentBytes: 2 ** 40 }), { code: 'WORKER_OUT_OF_MEMORY' }],
])('where the one before it %s, a shard that waited is computed by the next worker, and not blamed', async (_what, end, error) => {
  const { supervisor, asked } = open();
  const task = runTask(stored(), inputs);
  const begun: string[] = [];
  const first = failure(supervisor.run(task, { onBegin: () => begun.push('first') }));
  const second = supervisor.run(task, { onBegin: () => begun.push('second') });
  end(await asked(2));
  expect(await first).toMatchObject(error);
  (await asked(1, 2)).answer();
  expect(await second).toMatchObject({ tokensMade: 0 });
  expect(begun).toEqual(['first', 'second']);
});

test('cancelling what runs kills the worker, and what waited in it is computed by the next one', async () => {
  const { supervisor, workers, asked } = open();
  const task = runTask(stored(), inputs);
  const abort = new AbortController();
  const first = failure(supervisor.run(task, { signal: abort.signal }));
  const second = supervisor.run(task);
  await asked(2);
  abort.abort(new HearthlendError('LEASE_EXPIRED', { shard: 's' }));
  expect(await first).toMatchObject({ code: 'LEASE_EXPIRED' });
  expect(workers[0]?.killed).toBe(true);
  (await asked(1, 2)).answer();
  await second;
});

test('a generation that is to end and does not is killed within a second; one that waits is told so before its turn', async () => {
  const { supervisor, workers, asked } = open();
  const task = generateTask(stored(), [1]);
  const [first, second] = [new AbortController(), new AbortController()];
  const running = failure(supervisor.run(task, { signal: first.signal }));
  const begun = vi.fn();
  await asked(1);
  const waiting = failure(supervisor.run(task, { signal: second.signal, onBegin: begun }));
  const worker = await asked(2);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  second.abort('revoked');
  expect(await waiting).toMatchObject({ code: 'CANCELLED' });
  first.abort('expired');
  expect(worker.toEnd).toEqual([worker.asked[1]?.id, worker.asked[0]?.id]);
  worker.finish([]);
  expect(await running).toMatchObject({ code: 'CANCELLED' });
  vi.advanceTimersByTime(999);
  expect(worker.killed).toBe(false);
  vi.advanceTimersByTime(2);
  expect(worker.killed).toBe(true);
  expect(begun).not.toHaveBeenCalled();
  expect(workers).toHaveLength(1);
});

test('cancelling what waits is told at once and leaves what runs alone; the worker does not come to it', async () => {
  const { supervisor, workers, asked } = open();
  const task = runTask(stored(), inputs);
  const abort = new AbortController();
  const first = supervisor.run(task);
  const begun = vi.fn();
  const second = failure(supervisor.run(task, { signal: abort.signal, onBegin: begun }));
  const third = supervisor.run(task);
  const worker = await asked(2);
  abort.abort();
  expect(await second).toMatchObject({ code: 'CANCELLED' });
  await quiet();
  expect(worker.killed).toBe(false);
  worker.answer();
  expect(await first).toMatchObject({ tokensMade: 0 });
  (await asked(1, 2)).answer();
  await third;
  expect(begun).not.toHaveBeenCalled();
  expect(workers.map(({ killed }) => killed)).toEqual([true, false]);
});

test('stopping ends both what runs and what waits in the worker', async () => {
  const { supervisor, asked } = open();
  const task = runTask(stored(), inputs);
  const runs = [failure(supervisor.run(task)), failure(supervisor.run(task))];
  const worker = await asked(2);
  await supervisor.stop();
  expect(await Promise.all(runs)).toEqual([
    { code: 'WORKER_STOPPED', params: {} },
    { code: 'WORKER_STOPPED', params: {} },
  ]);
  expect(worker.killed).toBe(true);
});

test('inputs that wait in the worker do not count as memory of the shard that runs', async () => {
  const { supervisor, asked } = open();
  const model = stored();
  const limits = { memoryBytes: 2 ** 20 };
  const large = new Map([['x', float32([2 ** 20], new Array(2 ** 20).fill(0))]]);
  const first = supervisor.run(runTask(model, inputs, limits));
  const second = supervisor.run(runTask(model, large, { memoryBytes: 2 ** 30 }));
  const worker = await asked(2);
  worker.residentBytes += 9 * 2 ** 20;
  worker.answer();
  expect(await first).toMatchObject({ tokensMade: 0 });
  worker.answer();
  await second;
});

test('a shard that is to be alone begins in a new worker, and none is sent with it before it is there', async () => {
  const { supervisor, workers, asked } = open();
  const task = runTask(stored(), inputs);
  const first = supervisor.run(task);
  const alone = supervisor.run({ ...task, alone: true });
  const worker = await asked(1);
  await quiet();
  expect(worker.asked).toHaveLength(1);
  worker.answer();
  await first;
  (await asked(1, 2)).answer();
  await alone;
  expect(workers.map(({ killed }) => killed)).toEqual([true, false]);
});

test('a worker that keeps too much memory computes what it was sent already, is sent nothing more, and ends', async () => {
  const { supervisor, workers, asked } = open({ modelMemoryBytes: 2 ** 20 });
  const task = runTask(stored(), inputs, { memoryBytes: 2 ** 30 });
  const runs = [supervisor.run(task), supervisor.run(task)];
  const worker = await asked(2);
  worker.residentBytes = 2 ** 23;
  worker.answer();
  await runs[0];
  runs.push(supervisor.run(task));
  await quiet();
  expect(worker.asked).toHaveLength(1);
  worker.answer();
  await runs[1];
  (await asked(1, 2)).answer();
  await runs[2];
  expect(workers[0]?.killed).toBe(true);
});

test('tokens that were told before a worker ended for another shard are not told again', async () => {
  const { supervisor, asked } = open();
  const model = stored();
  const told: number[] = [];
  const first = failure(supervisor.run(runTask(model, inputs)));
  const second = supervisor.run(generateTask(model, [0], { maxNewTokens: 3, stopTokens: [] }), {
    onToken: (token) => void told.push(token),
  });
  const worker = await asked(2);
  const says = (from: ToldWorker, ...tokens: number[]) => {
    const { id } = from.asked[0] as Compute;
    for (const [index, token] of tokens.entries()) from.say({ type: 'token', id, index, token });
  };
  // In one breath: what is wrong with the first shows only after the second has begun.
  worker.answer({ name: 'z' });
  says(worker, 4, 5);
  expect(await first).toMatchObject({ code: 'WORKER_PROTOCOL' });
  const next = await asked(1, 2);
  says(next, 4, 5, 6);
  next.finish([4, 5, 6]);
  expect((await second).tokensMade).toBe(3);
  expect(told).toEqual([4, 5, 6]);
});

test('a real worker that is killed for one shard leaves the next to another, which computes it', async () => {
  const supervisor = supervise();
  const model = storeModel(slowModel());
  await supervisor.run(runTask(model, slowTurns(1)));
  const abort = new AbortController();
  const begun = Promise.withResolvers<void>();
  const first = failure(supervisor.run(runTask(model, slowTurns(1e9)), { signal: abort.signal, onBegin: begun.resolve }));
  const second = supervisor.run(runTask(model, slowTurns(2)));
  await begun.promise;
  abort.abort();
  expect(await first).toMatchObject({ code: 'CANCELLED' });
  expect(await second).toMatchObject({ loadMs: expect.any(Number) });
  const [third, fourth] = await Promise.all([3, 4].map((turns) => supervisor.run(runTask(model, slowTurns(turns)))));
  expect(third?.commitment).not.toBe(fourth?.commitment);
});

const act = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('run' as const), model: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.constant({ type: 'answer' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'crash' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('cancel' as const), at: fc.nat(7) }) },
);

test('whatever happens to workers, each shard begins once and ends once, and pays for nobody else', async () => {
  const models = [stored(), storeModel({ 'model.onnx': new Uint8Array(9) })] as const;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 14 }), async (acts) => {
      const { supervisor, workers } = open({ clock: () => 0 });
      const runs: Array<{ abort: AbortController; begun: number; end: Promise<unknown>; ended?: unknown }> = [];
      let crashes = 0;
      const live = () => workers.find(({ killed }) => !killed);
      for (const each of acts) {
        if (each.type === 'run') {
          const abort = new AbortController();
          const run: (typeof runs)[number] = { abort, begun: 0, end: Promise.resolve() };
          const task = runTask(models[each.model] as (typeof models)[0], new Map([['x', float32([1], [runs.length])]]));
          const made = supervisor.run(task, { signal: abort.signal, onBegin: () => (run.begun += 1) });
          run.end = made.then(
            () => (run.ended = 'made'),
            (error: HearthlendError) => (run.ended = error.code),
          );
          runs.push(run);
        } else if (each.type === 'cancel') runs[each.at]?.abort.abort();
        else if (each.type === 'answer' && live()?.asked.length) live()?.answer();
        else if (each.type === 'crash' && live()?.asked.length) {
          live()?.crash();
          crashes += 1;
        }
        await quiet();
        expect(live()?.asked.length ?? 0).toBeLessThanOrEqual(AT_ONCE);
        expect(workers.filter(({ killed }) => !killed).length).toBeLessThanOrEqual(1);
      }
      while (runs.some(({ ended }) => ended === undefined)) {
        if (live()?.asked.length) live()?.answer();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const ends = runs.map(({ ended }) => ended);
      expect(ends.filter((end) => end === 'WORKER_CRASHED')).toHaveLength(crashes);
      for (const { begun, ended, abort } of runs) {
        expect(begun).toBeLessThanOrEqual(1);
        if (ended === 'made') expect(begun).toBe(1);
        if (ended === 'CANCELLED') expect(abort.signal.aborted).toBe(true);
        expect(['made', 'CANCELLED', 'WORKER_CRASHED', 'WORKER_BACKING_OFF']).toContain(ended);
      }
      await supervisor.dispose();
    }),
    { numRuns: 40 },
  );
});
