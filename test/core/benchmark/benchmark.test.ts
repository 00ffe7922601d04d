import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type BenchmarkPorts, createBenchmark } from '../../../core/benchmark/benchmark.ts';
import { openResults } from '../../../core/benchmark/history.ts';
import { downloadKernel, type Kernel, matrixKernel, memoryKernel, uploadKernel } from '../../../core/benchmark/kernels.ts';
import { type Effort, figureNames } from '../../../core/benchmark/measure-backend.ts';
import { type BenchmarkWorker, stageKernel } from '../../../core/benchmark/worker.ts';
import { CPU, type Provider } from '../../../core/contract/backends.ts';
import { type BenchmarkProgress, BenchmarkResult } from '../../../core/contract/benchmark.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { messageOf } from '../../../core/contract/messages.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Tensor } from '../../../core/contract/tensor.ts';
import { loadPromptModel } from '../../../core/prompt-model.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { planLaunch } from '../../../core/supervisor/sandbox/plan.ts';
import { findSwiftShader, withoutSwiftShader } from '../supervisor/sandbox/gpu/software.ts';
import { failure, needs, root, sandboxed, supervise, wall } from '../supervisor/workbench.ts';

const TINY: Effort = {
  figureMs: 50,
  backendMs: 60_000,
  matrices: [
    [32, 2],
    [64, 2],
  ],
  leastRunMs: 1000,
  memoryFloats: 2 ** 16,
  copyFloats: 2 ** 12,
  tokens: 12,
  leastSamples: 2,
};
const OPTIONS = { quick: true, evenIfBusy: true, effort: TINY };

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearthlend-benchmark-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** A worker behind the machine's wall, as the agent opens it: on the processor, or on the device that `start` lets it see. */
function worker(start = nativeWorkers(sandboxed), provider: Provider = CPU, gpu: string | null = null): BenchmarkWorker {
  const supervisor = supervise({ start });
  return {
    backend: provider.name,
    gpu,
    memoryBytes: 4e9,
    run: (shard, model, inputs, signal) =>
      supervisor.run({ shard, model: { digest: shard.model.digest, ...model }, inputs, threads: 1, provider }, { signal }),
    stop: () => supervisor.stop(),
    dispose: () => supervisor.dispose(),
    onnxruntime: () => supervisor.onnxruntime(),
  };
}

/** A benchmark of a machine at rest, and a record of what it did to ordinary work. */
function bench(change: Partial<BenchmarkPorts> = {}) {
  const dir = folder();
  const told: string[] = [];
  const progress: (BenchmarkProgress | null)[] = [];
  let busyMs = 0;
  const ports: BenchmarkPorts = {
    clock: Date.now,
    version: '0.1.0',
    dir,
    results: openResults(join(dir, 'benchmarks.json'), (detail) => told.push(detail)),
    machine: async () => ({ cpu: 'Test', cores: 2, memoryBytes: 8e9, platform: 'linux x64', gpus: [] }),
    async practice() {
      const { local, decoder, encode, text } = await loadPromptModel(join(root, 'resources/models/wordnet-lm'));
      return { local, decoder, prompt: encode('light (noun):'), decode: (tokens) => text.decode(tokens) };
    },
    threads: () => 1,
    openWorkers: async () => [worker()],
    async hold() {
      told.push('held');
      return () => told.push('put back');
    },
    processorTimes: () => ({ busyMs: busyMs++, allMs: performance.now() * 1000 }),
    watchPower: () => () => 65,
    onProgress: (each) => progress.push(each),
    ...change,
  };
  return { ...createBenchmark(ports), ports, dir, told, progress };
}

test('the processor is measured through its sandboxed worker: every figure, a score, what it can serve, and a sentence', async () => {
  const { run, ports, dir, told, progress, running } = bench();
  const result = BenchmarkResult.parse(await run(OPTIONS));
  const [cpu] = result.backends;
  expect(cpu).toMatchObject({ backend: 'cpu', gpu: null, error: null });
  expect(cpu?.figures.map(({ name }) => name)).toEqual(['matrixFp32', 'matrixFp16', 'memoryBandwidth', 'tokens', 'modelLoad']);
  for (const { median, samples } of cpu?.figures ?? []) {
    expect(median).toBeGreaterThan(0);
    expect(samples).toBeGreaterThanOrEqual(2);
  }
  expect(cpu?.score).toBeGreaterThan(0);
  expect(result.recommended).toEqual({ backend: 'cpu', gpu: null });
  expect(result.shardClasses.length).toBeGreaterThan(0);
  expect(result.wordsPerSecond).toBeGreaterThan(0);
  expect(result.onnxruntime).toMatch(/^\d+\.\d+/);
  expect(result.watts).toBe(65);
  expect(messageOf(result.sentence)).toMatch(/this PC .* words? a second with the practice model on its processor/i);
  expect(told).toEqual(['held', 'put back']);
  expect(progress.map((each) => each?.step)).toEqual([0, 1, 2, 3, 4, undefined]);
  expect(progress[0]).toMatchObject({ steps: 5, backend: 'cpu', figure: 'matrixFp32' });
  expect(running()).toBeNull();
  // What was written to be measured is gone again, and the result kept.
  expect(readdirSync(dir)).toEqual(['benchmarks.json']);
  expect(openResults(join(dir, 'benchmarks.json'), (detail) => told.push(detail)).results()).toEqual([result]);
  expect(ports.results.results()).toEqual([result]);
});

/** What a kernel gives, through a worker. */
async function answer(on: BenchmarkWorker, name: string, kernel: Kernel): Promise<number[]> {
  const staged = stageKernel(folder(), name, kernel);
  const { outputs } = await staged.run(on, new AbortController().signal);
  staged.close();
  const { data } = decodeSafetensors(outputs).get('y') as Tensor;
  return Array.from(new Float32Array(new Uint8Array(data).buffer));
}

test('kernels compute what they are to, on the processor and by WebGPU on SwiftShader', async (ctx) => {
  const cpu = worker();
  const [matrix] = await answer(cpu, 'matrix', matrixKernel('float32', 32, 3));
  // What is turned three times is neither gone nor grown.
  expect(matrix).toBeGreaterThan(0.1);
  expect(matrix).toBeLessThanOrEqual(1.001);
  expect((await answer(cpu, 'half', matrixKernel('float16', 32, 3)))[0]).toBeCloseTo(matrix as number, 2);
  expect(await answer(cpu, 'memory', memoryKernel(1000, 4))).toEqual([5]);
  const why = withoutSwiftShader() ?? (wall.wall === 'bubblewrap' ? undefined : 'there is no bubblewrap that works here');
  if (why !== undefined) ctx.skip(why);
  const plan = await findSwiftShader();
  if (!plan.ok) throw new Error(plan.reason.key);
  const onDevice = nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir, device: plan.access }));
  const gpu = worker(onDevice, { name: 'webgpu', deviceId: 0 }, '0000:01:00.0');
  expect((await answer(gpu, 'matrix', matrixKernel('float32', 32, 3)))[0]).toBeCloseTo(matrix as number, 4);
  expect(await answer(gpu, 'memory', memoryKernel(1000, 4))).toEqual([5]);
  expect(await answer(gpu, 'upload', uploadKernel(1000))).toEqual([1]);
  expect(await answer(gpu, 'download', downloadKernel(3))).toEqual([1, 1, 1]);
});

test('a backend that is not the processor has copies to measure, also where it is not told which GPU it has', async () => {
  const { run, progress } = bench({ openWorkers: async () => [{ ...worker(), backend: 'webgpu' }] });
  const { backends, sentence, shardClasses } = await run({ ...OPTIONS, effort: { ...TINY, figureMs: 0, tokens: 4, leastSamples: 1 } });
  expect(backends[0]?.figures.map(({ name }) => name)).toEqual(figureNames('webgpu'));
  expect(progress[0]?.steps).toBe(7);
  expect(sentence.key).toMatch(/^benchmark\.sentence\.graphics/);
  expect(shardClasses[0]?.serves).toBe(true);
});

test('on a busy machine nothing is measured, unless it is wanted all the same', async () => {
  let times = 0;
  const opened: string[] = [];
  const { run, told, ports } = bench({
    processorTimes: () => ({ busyMs: (times++ % 2) * 600, allMs: (times % 2 === 0 ? 1 : 0) * 1000 }),
    openWorkers: async () => {
      opened.push('opened');
      return [];
    },
  });
  expect(await failure(run({ ...OPTIONS, evenIfBusy: false }))).toEqual({ code: 'BENCHMARK_BUSY', params: { percent: 60 } });
  expect(told).toEqual(['held', 'put back']);
  expect(opened).toEqual([]);
  const result = await run(OPTIONS);
  expect(result).toMatchObject({ noise: { reason: 'busy', share: 0.6 }, recommended: null, wordsPerSecond: null });
  expect(ports.results.results()).toHaveLength(1);
});

test('cancelling ends a run in the middle, kills its worker and puts ordinary work back', async () => {
  const reached = Promise.withResolvers<void>();
  const { run, cancel, told, dir, ports } = bench({
    onProgress: (each) => {
      if (each?.figure === 'memoryBandwidth') reached.resolve();
    },
  });
  // Matrices that take minutes.
  const running = failure(run({ ...OPTIONS, effort: { ...TINY, memoryFloats: 2 ** 26, figureMs: 60_000 } }));
  await reached.promise;
  expect(await failure(run(OPTIONS))).toEqual({ code: 'BENCHMARK_RUNNING', params: {} });
  await cancel();
  expect(told).toEqual(['held', 'put back']);
  expect(await running).toEqual({ code: 'CANCELLED', params: {} });
  expect(readdirSync(dir)).toEqual([]);
  expect(ports.results.results()).toEqual([]);
  await cancel();
});

test('a figure that fails is left out with its error, and the others are measured; what needs it is unknown', async () => {
  const real = worker();
  const { run } = bench({
    openWorkers: async () => [
      {
        ...real,
        run: async (shard, model, inputs, signal) => {
          if (shard.kind === 'onnx.generate') throw new HearthlendError('WORKER_OUT_OF_MEMORY', { limitBytes: 5 });
          return real.run(shard, model, inputs, signal);
        },
      },
    ],
  });
  const { backends, recommended, sentence } = await run(OPTIONS);
  expect(backends[0]).toMatchObject({ error: { code: 'WORKER_OUT_OF_MEMORY', params: { limitBytes: 5 } }, score: null });
  expect(backends[0]?.figures).toHaveLength(3);
  expect(recommended).toBeNull();
  expect(sentence.key).toBe('benchmark.sentence.nothing');
});

test('figures that vary too much are refused, and work is put back', async () => {
  let calls = 0;
  const real = worker();
  const { run, told, ports } = bench({
    openWorkers: async () => [
      {
        ...real,
        run: async (...all) => {
          if (all[0].kind === 'onnx.generate') throw new HearthlendError('RUN_FAILED', { detail: 'not here' });
          calls += 1;
          return { ...(await real.run(...all)), runMs: calls % 2 === 0 ? 100 : 3 };
        },
      },
    ],
  });
  expect(await failure(run({ ...OPTIONS, evenIfBusy: false }))).toMatchObject({ code: 'BENCHMARK_NOISY' });
  expect(told).toEqual(['held', 'put back']);
  expect(ports.results.results()).toEqual([]);
});

test('a backend that takes too long keeps what was measured by then', async () => {
  const { run } = bench();
  const { backends } = await run({ ...OPTIONS, effort: { ...TINY, backendMs: 1 } });
  expect(backends[0]).toMatchObject({ score: null });
  expect(backends[0]?.figures.length).toBeLessThan(5);
});

test('results that can not be read are set aside, and only so many are kept', async () => {
  const path = join(folder(), 'benchmarks.json');
  writeFileSync(path, '{"version":1,"results":[{');
  const why: string[] = [];
  const store = openResults(path, (detail) => why.push(detail));
  expect(why).toHaveLength(1);
  expect(readFileSync(`${path}.unreadable`, 'utf8')).toContain('results');
  const { run } = bench({ openWorkers: async () => [], results: store });
  const result = await run(OPTIONS);
  for (let at = 1; at <= 60; at += 1) store.add({ ...result, at });
  const kept = openResults(path, () => expect.unreachable()).results();
  expect(kept).toHaveLength(50);
  expect(kept[0]?.at).toBe(60);
});
