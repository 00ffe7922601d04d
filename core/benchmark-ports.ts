import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';
import type { App } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import { type Benchmark, createBenchmark } from './benchmark/benchmark.ts';
import { earningsEstimate } from './benchmark/earnings.ts';
import { openResults } from './benchmark/history.ts';
import { QUICK, THOROUGH } from './benchmark/measure-backend.ts';
import { figure } from './benchmark/score.ts';
import type { BenchmarkWorker } from './benchmark/worker.ts';
import type { BenchmarkResult } from './contract/benchmark.ts';
import type { Settings } from './contract/settings.ts';
import type { Engine } from './engine.ts';
import type { Measured } from './network-ports.ts';
import { loadPromptModel } from './prompt-model.ts';

/** The practice network's usual kind of prompt. */
const PROMPT = 'light (noun):';

interface BenchmarkParts {
  ports: AppPorts;
  settings: { current: Settings };
  engine: Engine;
}

/** The machine's benchmark, with this agent's workers, behind the RPC table. */
export function openBenchmark({ ports, settings, engine }: BenchmarkParts): {
  handlers: Pick<App['handlers'], 'benchmark.run' | 'benchmark.cancel' | 'benchmark.history'>;
  cancel: Benchmark['cancel'];
  /** What the newest one knows of the backend that it recommends. */
  measured(): Measured;
} {
  const { clock, version, dataDir, log } = ports;
  const { workers, telemetry, screen } = engine;
  const results = openResults(join(dataDir, 'benchmarks.json'), (detail) =>
    log('warn', 'the kept benchmarks could not be read', { detail }),
  );

  async function machine(): Promise<BenchmarkResult['machine']> {
    const { cpu, memory, gpus } = await engine.hardware();
    return {
      cpu: cpu.model,
      cores: cpu.cores,
      memoryBytes: memory.totalBytes,
      platform: `${platform()} ${arch()}`,
      gpus: gpus.map(({ id, name, driverVersion }) => ({ id, name, driverVersion })),
    };
  }

  /** One on each backend that works. Those that weren't tried yet are tried first. */
  async function openWorkers(): Promise<BenchmarkWorker[]> {
    const { gpus } = await engine.hardware();
    await workers.prove({ gpus }, false);
    return workers.spares().map(({ gpu, provider, memoryBytes, open }): BenchmarkWorker => {
      const spare = open();
      return {
        backend: provider.name,
        gpu,
        memoryBytes,
        run: (shard, { manifest, files }, inputs, signal) => {
          const model = { digest: shard.model.digest, manifest, files };
          return spare.run({ shard, model, inputs, threads: workers.threads('own'), provider }, { signal });
        },
        stop: () => spare.stop(),
        dispose: () => spare.dispose(),
        onnxruntime: () => spare.onnxruntime(),
      };
    });
  }

  /** Mean of what was told meanwhile, of those parts that have a sensor. */
  function watchPower(): () => number | null {
    const from = clock();
    const leave = telemetry.watch();
    let mean: number | null | undefined;
    return () => {
      if (mean !== undefined) return mean;
      leave();
      const watts = telemetry
        .history()
        .samples.filter(({ at }) => at >= from)
        .map(({ cpu, gpus }) => [cpu, ...gpus].map(({ powerWatts }) => powerWatts).filter((each) => each !== null))
        .filter((parts) => parts.length > 0)
        .map((parts) => parts.reduce((sum, each) => sum + each, 0));
      mean = watts.length === 0 ? null : watts.reduce((sum, each) => sum + each, 0) / watts.length;
      return mean;
    };
  }

  const benchmark = createBenchmark({
    clock,
    version,
    dir: dataDir,
    results,
    machine,
    async practice() {
      const { local, decoder, encode, text } = await loadPromptModel(ports.parts.practiceModel);
      return { local, decoder, prompt: encode(PROMPT), decode: (tokens) => text.decode(tokens) };
    },
    threads: () => workers.threads('own'),
    openWorkers,
    hold: () => engine.hold(),
    processorTimes,
    watchPower,
    onProgress: (data) => screen.emit({ event: 'benchmark.progress', data }),
  });

  /** What the newest one knows of the backend that it recommends. */
  function measured(): Measured {
    const [newest] = results.results();
    const best = newest?.backends.find(({ backend, gpu }) => backend === newest.recommended?.backend && gpu === newest.recommended.gpu);
    return { tokensPerSecond: best === undefined ? null : figure(best.figures, 'tokens'), watts: newest?.watts ?? null };
  }

  return {
    handlers: {
      'benchmark.run': ({ quick, evenIfBusy }) => benchmark.run({ quick, evenIfBusy, effort: quick ? QUICK : THOROUGH }),
      async 'benchmark.cancel'() {
        await benchmark.cancel();
        return {};
      },
      async 'benchmark.history'() {
        const { tokensPerSecond, watts } = measured();
        const earnings = earningsEstimate({
          tokensPerSecond,
          quotes: engine.quotes(),
          electricity: settings.current.rules.electricity,
          measuredWatts: watts,
          loadWatts: settings.current.loadWatts,
          hour: new Date(clock()).getHours(),
        });
        return { results: results.results(), running: benchmark.running(), earnings };
      },
    },
    cancel: () => benchmark.cancel(),
    measured,
  };
}

/** Of all cores together; null where a system tells none. */
function processorTimes(): { busyMs: number; allMs: number } | null {
  const times = cpus().map((cpu) => cpu.times);
  const allMs = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  const busyMs = allMs - times.reduce((sum, { idle }) => sum + idle, 0);
  return allMs > 0 ? { busyMs, allMs } : null;
}
