import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { BenchmarkProgress, BenchmarkResult } from '../contract/benchmark.ts';
import { HearthlendError } from '../contract/errors.ts';
import { type MessageRef, ref } from '../contract/messages.ts';
import type { ResultStore } from './history.ts';
import { type Effort, figureNames, type Measured, measureBackend } from './measure-backend.ts';
import { busy, figure, recommended, shardClasses, unsteady } from './score.ts';
import type { BenchmarkWorker, PracticeModel } from './worker.ts';

/** How long the machine is looked at before, and how long what was set aside is given to come to rest. */
const LOOK_MS = 500;
const GIGA = 1e9;

export interface BenchmarkPorts {
  /** ms since 1970. */
  clock: () => number;
  version: string;
  /** Where models that are measured are written, and removed again: on the disk that models lie on. */
  dir: string;
  results: ResultStore;
  machine(): Promise<BenchmarkResult['machine']>;
  practice(): Promise<PracticeModel>;
  /** Threads that work on the processor has. */
  threads: () => number;
  /** A worker for each backend that was proven, to be disposed of. */
  openWorkers(): Promise<BenchmarkWorker[]>;
  /** Sets ordinary work aside; what it gives puts it back as it is to be then. */
  hold(): Promise<() => void>;
  /** Processor time of all programs so far (ms), and what all cores have had; null where this system doesn't tell. */
  processorTimes(): { busyMs: number; allMs: number } | null;
  /** Watches the machine's power until the returned function is called, which gives the mean (W); null: no sensor. */
  watchPower(): () => number | null;
  onProgress(progress: BenchmarkProgress | null): void;
}

interface BenchmarkOptions {
  quick: boolean;
  /** Measure also where other programs are at work; the result says so. */
  evenIfBusy: boolean;
  effort: Effort;
}

/** Measures this machine, one benchmark at a time. */
export interface Benchmark {
  /**
   * Resolves with what was measured, which is then kept as well.
   * @throws BENCHMARK_RUNNING; BENCHMARK_BUSY, BENCHMARK_NOISY unless `evenIfBusy`; CANCELLED; DISK_FULL, DATA_DIR_UNWRITABLE, WORKER_*
   */
  run(options: BenchmarkOptions): Promise<BenchmarkResult>;
  /** What runs rejects with CANCELLED. Resolves when ordinary work is put back; at once where nothing runs. */
  cancel(): Promise<void>;
  running(): BenchmarkProgress | null;
}

export function createBenchmark(ports: BenchmarkPorts): Benchmark {
  let current: { abort: AbortController; done: Promise<unknown> } | undefined;
  let progress: BenchmarkProgress | null = null;

  function tell(next: BenchmarkProgress | null): void {
    progress = next;
    ports.onProgress(next);
  }

  async function measure({ quick, evenIfBusy, effort }: BenchmarkOptions, signal: AbortSignal): Promise<BenchmarkResult> {
    const at = ports.clock();
    const startedAt = performance.now();
    const putBack = await ports.hold();
    const workers: BenchmarkWorker[] = [];
    let dir: string | undefined;
    let stopWatching = ports.watchPower();
    try {
      const othersLoad = await lookAround(ports, signal);
      const before = busy(othersLoad);
      if (before?.reason === 'busy' && !evenIfBusy)
        throw new HearthlendError('BENCHMARK_BUSY', { percent: Math.round(before.share * 100) });
      // What it took while nothing was measured doesn't count.
      stopWatching();
      stopWatching = ports.watchPower();
      const practice = await ports.practice();
      dir = mkdtempSync(join(ports.dir, 'benchmark-'));
      workers.push(...(await ports.openWorkers()));
      const measured = await measureAll({ workers, practice, effort, dir, signal, at });
      const noise = before ?? unsteady(measured);
      if (noise?.reason === 'spread' && !evenIfBusy) {
        throw new HearthlendError('BENCHMARK_NOISY', { percent: Math.round(noise.share * 100) });
      }
      const watts = stopWatching();
      const machine = await ports.machine();
      const { version } = ports;
      const facts = {
        at,
        tookMs: performance.now() - startedAt,
        quick,
        machine,
        version,
        threads: ports.threads(),
        othersLoad,
        noise,
        watts,
      };
      const result = concluded(facts, measured, workers);
      ports.results.add(result);
      return result;
    } finally {
      stopWatching();
      await Promise.all(workers.map((worker) => worker.dispose()));
      if (dir !== undefined) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
      putBack();
    }
  }

  async function measureAll(all: {
    workers: BenchmarkWorker[];
    practice: PracticeModel;
    effort: Effort;
    dir: string;
    signal: AbortSignal;
    at: number;
  }): Promise<Measured[]> {
    const steps = all.workers.reduce((sum, { backend }) => sum + figureNames(backend).length, 0);
    const measured: Measured[] = [];
    let step = 0;
    for (const worker of all.workers) {
      const { backend, gpu } = worker;
      const onFigure = (name: BenchmarkProgress['figure']) => {
        tell({ startedAt: all.at, step, steps, backend, gpu, figure: name });
        step += 1;
      };
      measured.push(await measureBackend({ ...all, worker, onFigure }));
      await worker.stop();
    }
    return measured;
  }

  return {
    async run(options) {
      if (current !== undefined) throw new HearthlendError('BENCHMARK_RUNNING');
      const abort = new AbortController();
      const measuring = measure(options, abort.signal);
      current = { abort, done: measuring.catch(() => undefined) };
      try {
        return await measuring;
      } finally {
        current = undefined;
        tell(null);
      }
    },
    async cancel() {
      current?.abort.abort(new HearthlendError('CANCELLED'));
      await current?.done;
    },
    running: () => progress,
  };
}

/** What other programs use of the processor while our own work rests. */
async function lookAround({ processorTimes }: BenchmarkPorts, signal: AbortSignal): Promise<number | null> {
  const before = processorTimes();
  await wait(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  const after = processorTimes();
  if (before === null || after === null || after.allMs <= before.allMs) return null;
  return Math.min(1, Math.max(0, (after.busyMs - before.busyMs) / (after.allMs - before.allMs)));
}

type Facts = Pick<BenchmarkResult, 'at' | 'tookMs' | 'quick' | 'machine' | 'version' | 'threads' | 'othersLoad' | 'noise' | 'watts'>;

/** What follows from the figures. */
function concluded(facts: Facts, measured: Measured[], workers: readonly BenchmarkWorker[]): BenchmarkResult {
  const best = recommended(measured);
  const device = workers.find(({ backend, gpu }) => backend === best?.backend && gpu === best.gpu);
  const bandwidth = best === null ? null : figure(best.figures, 'memoryBandwidth');
  const tokens = best === null ? null : figure(best.figures, 'tokens');
  const words = tokens === null || best?.wordsPerToken == null ? null : tokens * best.wordsPerToken;
  const gpu = facts.machine.gpus.find(({ id }) => id === best?.gpu)?.name ?? null;
  return {
    ...facts,
    onnxruntime: workers.map((worker) => worker.onnxruntime()).find((version) => version !== null) ?? null,
    backends: measured.map(({ wordsPerToken: _, ...score }) => score),
    recommended: best === null ? null : { backend: best.backend, gpu: best.gpu },
    shardClasses: device === undefined ? [] : shardClasses(device.memoryBytes, bandwidth === null ? null : bandwidth * GIGA),
    wordsPerSecond: words,
    sentence: sentence(words, { onGpu: best !== null && best.backend !== 'cpu', gpu }, facts.noise !== null),
  };
}

function sentence(words: number | null, where: { onGpu: boolean; gpu: string | null }, noisy: boolean): MessageRef {
  if (words === null) return ref('benchmark.sentence.nothing');
  const rounded = words < 10 ? Number(words.toPrecision(2)) : Math.round(words);
  const { onGpu, gpu } = where;
  const params = gpu === null ? { words: rounded } : { words: rounded, gpu };
  const device = onGpu ? (gpu === null ? 'graphics' : 'gpu') : 'cpu';
  return ref(`benchmark.sentence.${device}${noisy ? '-noisy' : ''}`, params);
}
