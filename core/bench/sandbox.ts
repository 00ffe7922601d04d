import type { DescribedModel } from '../contract/jobs.ts';
import type { Shard } from '../contract/shard.ts';
import { type Measure, measure, median } from './measure.ts';
import { inputShape } from './onnx.ts';
import { chainInputs, THREADS } from './shards.ts';

/** A worker of its own, behind the machine's wall or behind none. */
interface BenchWorker {
  compute(shard: Shard, model: DescribedModel, inputs: Uint8Array): Promise<{ runMs: number }>;
  /** Kills it, and says how long it took until it was gone. */
  stop(): Promise<{ msToGone: number }>;
  dispose(): Promise<void>;
}

export interface SandboxBench {
  /** What the wall is called. */
  wall: string;
  walled: BenchWorker;
  bare: BenchWorker;
  /** A chain that computes for some milliseconds, and one that computes for seconds. */
  short: { model: DescribedModel; links: number };
  long: { model: DescribedModel; links: number };
}

const KILLS = 10;

/** The sandbox against none: a start with its first answer, an exchange, and how soon a busy worker is gone. */
export async function* measureSandbox({ wall, walled, bare, short, long }: SandboxBench, quick: boolean): AsyncGenerator<Measure> {
  const rounds = quick ? 30 : 150;
  const exchange = async (worker: BenchWorker) => {
    const from = performance.now();
    await worker.compute(shardOf(short.model), short.model, chainInputs(short.links, new Float32Array(size(short.links))));
    return performance.now() - from;
  };
  const starts = { walled: [] as number[], bare: [] as number[] };
  for (let round = 0; round < 3; round += 1) {
    for (const [name, worker] of [
      ['walled', walled],
      ['bare', bare],
    ] as const) {
      await worker.stop();
      starts[name].push(await exchange(worker));
    }
  }
  yield compared(`start of a worker behind ${wall} to its first answer (ratio: without / with)`, starts.walled, starts.bare);
  const times = { walled: [] as number[], bare: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    times.walled.push(await exchange(walled));
    times.bare.push(await exchange(bare));
  }
  yield compared(`an exchange of about 1 ms with a worker behind ${wall} (ratio: without / with)`, times.walled, times.bare);
  const kills: number[] = [];
  for (let kill = 0; kill < (quick ? 3 : KILLS); kill += 1) {
    await exchange(walled);
    const running = walled.compute(shardOf(long.model), long.model, chainInputs(long.links, new Float32Array(size(long.links))));
    running.catch(() => undefined); // it is killed
    await new Promise((resolve) => setTimeout(resolve, 150)); // in the middle of its run, loading over
    kills.push((await walled.stop()).msToGone);
  }
  yield measure(`from the kill of a busy worker behind ${wall} until it is gone`, median(kills), 'ms');
}

function compared(name: string, ours: number[], without: number[]): Measure {
  const [value, baseline] = [median(ours), median(without)];
  return measure(name, value, 'ms', { baseline: { name: 'the same worker without a sandbox', value: baseline }, ratio: baseline / value });
}

const size = (links: number) => inputShape(links).reduce((product, each) => product * each, 1);

function shardOf(model: DescribedModel): Shard {
  const digest = model.manifest.files[0]?.digest ?? '';
  return {
    id: 'bench',
    jobId: 'bench',
    network: 'bench',
    model: { digest, bytes: 0 },
    inputs: { digest, bytes: 0 },
    limits: { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 24 },
    session: { intraOpThreads: THREADS, graphOptimization: 'all' },
    price: { asset: 'hearth:bench/credit:practice', unit: 'run', perUnit: '0' },
    origin: 'own',
    kind: 'onnx.run',
    outputs: ['y'],
  };
}
