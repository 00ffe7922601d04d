import { join } from 'node:path';
import type { AppPorts } from './app-ports.ts';
import type { Measure } from './bench/measure.ts';
import { measureSandbox } from './bench/sandbox.ts';
import { THREADS, writeModel } from './bench/shards.ts';
import { CPU } from './contract/backends.ts';
import type { DescribedModel } from './contract/jobs.ts';
import type { Shard } from './contract/shard.ts';
import type { StartWorker } from './contract/worker-host.ts';
import { describeModel } from './models/describe.ts';
import { createVet } from './models/vetting/vet.ts';
import { nativeWorkers } from './supervisor/native-process.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';
import { planBare, planLaunch } from './supervisor/sandbox/plan.ts';
import { createSupervisor } from './supervisor/supervisor.ts';

const SCRATCH_BYTES = 64 * 2 ** 20;
const HEAP_MIB = 512;
/** Links of a chain that computes for about a millisecond, and for some seconds. */
const SHORT_LINKS = 6;
const LONG_LINKS = 30_000;
/** In a page, which takes far longer to load so many. */
const LONG_LINKS_IN_PAGE = 3_000;

type Ports = Pick<AppPorts, 'clock' | 'parts' | 'gpuWindow'>;

/** Two native workers without an agent: one behind the machine's wall, one behind none. */
export async function* withWorkers({ clock, parts }: Ports, dir: string, quick: boolean): AsyncGenerator<Measure> {
  const { nodePath, workerScript: scriptPath } = parts;
  const needs = await resolveNeeds({ nodePath, scriptPath, modelsDir: dir, scratchBytes: SCRATCH_BYTES, heapMiB: HEAP_MIB });
  const wall = await detectWall(needs);
  // Nothing to compare where there is no wall.
  if (wall.program === null) return;
  yield* compare({
    ...{ wall: wall.wall, dir, clock, quick, longLinks: LONG_LINKS },
    walled: nativeWorkers(({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir })),
    bare: nativeWorkers(({ modelsDir }) => planBare({ ...needs, modelsDir })),
  });
}

/** Two GPU windows without an agent, each computing on its WebAssembly: one in Chromium's own sandbox, one without. */
export async function* withWindow({ clock, gpuWindow }: Ports, dir: string, quick: boolean): AsyncGenerator<Measure> {
  const pair = gpuWindow?.()?.forBench;
  if (pair == null) return;
  yield* compare({ wall: "a page's sandbox", dir: join(dir, 'window'), clock, quick, longLinks: LONG_LINKS_IN_PAGE, ...pair });
}

interface Comparison {
  wall: string;
  dir: string;
  clock: () => number;
  quick: boolean;
  longLinks: number;
  walled: StartWorker;
  bare: StartWorker;
}

async function* compare({ wall, dir, clock, quick, longLinks, ...starts }: Comparison): AsyncGenerator<Measure> {
  const worker = (name: 'walled' | 'bare') => {
    const options = { workDir: join(dir, name), modelMemoryBytes: 2 ** 30, vet: createVet(), clock };
    const supervisor = createSupervisor({ ...options, start: starts[name] });
    return {
      compute: (shard: Shard, { manifest, files }: DescribedModel, inputs: Uint8Array) =>
        supervisor.run({ shard, model: { digest: shard.model.digest, manifest, files }, inputs, threads: THREADS, provider: CPU }),
      stop: () => supervisor.stop(),
      dispose: () => supervisor.dispose(),
    };
  };
  const [walled, bare] = [worker('walled'), worker('bare')];
  const chain = async (links: number) => ({ links, model: await describeModel(writeModel(dir, links)) });
  try {
    const [short, long] = [await chain(SHORT_LINKS), await chain(longLinks)];
    yield* measureSandbox({ wall, walled, bare, short, long }, quick);
  } finally {
    await Promise.all([walled.dispose(), bare.dispose()]);
  }
}
