import { type Measure, measure, quantile } from './measure.ts';

/** A coordinator that simulated workers ask for work. */
export interface LeasingBench {
  /** Adds a job of so many shards. */
  add(shards: number): Promise<void>;
  /** One worker asks, and hands in what it gets; how long (ms) the asking took, and how many leases it brought. */
  cycle(worker: number): Promise<{ askedMs: number; leases: number }>;
}

const WORKERS = 1000;
/** Shards of one job. */
const SHARDS = 250;
/** The most that a worker asks for at once. */
const BATCH = 4;
/** Each worker asks so often where it computes between. */
const EVERY_MS = 10_000;

/** What a coordinator's leases cost on one store: as many as it can give, and as they come from a thousand workers that compute. @param store its name */
export async function* measureLeasing(bench: LeasingBench, store: string, quick: boolean): AsyncGenerator<Measure> {
  const [rounds, asks] = quick ? [2, 1] : [5, 3];
  // Newcomers are given one shard each, and all of them are audited: their first round is not what lasts.
  await addWork(bench, WORKERS * (1 + rounds * BATCH));
  await Promise.all(workers().map((worker) => bench.cycle(worker)));

  const cpu = process.cpuUsage();
  const from = performance.now();
  const all = await Promise.all(workers().map((worker) => repeat(() => bench.cycle(worker), rounds)));
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const leases = all.flat().reduce((sum, each) => sum + each.leases, 0);
  yield measure(`leases given, handed in and accepted, ${store}: 1,000 workers at once`, leases / seconds, 'leases/s');
  yield measure(`leases given, handed in and accepted, ${store}: processor time of one`, (user + system) / 1000 / leases, 'ms');

  await addWork(bench, WORKERS * asks * BATCH);
  const asked = await Promise.all(workers().map((worker) => paced(bench, worker, asks)));
  const took = asked.flat().flatMap((each) => (each.leases > 0 ? [each.askedMs] : []));
  yield measure(`time to a lease, ${store}, 1,000 workers that ask every ${EVERY_MS / 1000} s: median`, quantile(took, 0.5), 'ms');
  yield measure(
    `time to a lease, ${store}, 1,000 workers that ask every ${EVERY_MS / 1000} s: 99th percentile`,
    quantile(took, 0.99),
    'ms',
  );
}

async function addWork(bench: LeasingBench, shards: number): Promise<void> {
  for (let added = 0; added < shards; added += SHARDS) await bench.add(SHARDS);
}

function workers(): number[] {
  return Array.from({ length: WORKERS }, (_, index) => index);
}

async function repeat<T>(call: () => Promise<T>, times: number): Promise<T[]> {
  const results: T[] = [];
  for (let done = 0; done < times; done += 1) results.push(await call());
  return results;
}

/** A worker that begins at its own time, and asks again each time it would have computed what it got. */
async function paced(bench: LeasingBench, worker: number, times: number) {
  await wait((worker / WORKERS) * EVERY_MS);
  return repeat(async () => {
    const from = performance.now();
    const result = await bench.cycle(worker);
    await wait(Math.max(EVERY_MS - (performance.now() - from), 0));
    return result;
  }, times);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
