import { type Measure, measure, quantile } from './measure.ts';

/** The store of a coordinator. */
export interface RecordingBench {
  /** Records the next small change of a worker; resolves when it can't be lost any more. */
  record(worker: number): Promise<void>;
}

const WORKERS = 1000;
const ALONE = 200;

/** What it takes to record changes, from one caller and from a thousand at once. @param store its name */
export async function* measureRecording({ record }: RecordingBench, store: string, quick: boolean): AsyncGenerator<Measure> {
  const alone: number[] = [];
  for (let number = 0; number < ALONE; number += 1) alone.push(await timed(() => record(0)));
  yield measure(`a change recorded, ${store}, one after the other: median`, quantile(alone, 0.5), 'ms');
  yield measure(`a change recorded, ${store}, one after the other: 99th percentile`, quantile(alone, 0.99), 'ms');

  const each = quick ? 5 : 20;
  const cpu = process.cpuUsage();
  const from = performance.now();
  const took = await Promise.all(
    Array.from({ length: WORKERS }, async (_, worker) => {
      const times: number[] = [];
      for (let number = 0; number < each; number += 1) times.push(await timed(() => record(worker)));
      return times;
    }),
  );
  const seconds = (performance.now() - from) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const recorded = WORKERS * each;
  yield measure(`changes recorded, ${store}, 1,000 callers at once`, recorded / seconds, 'entries/s');
  yield measure(`changes recorded, ${store}, 1,000 callers at once: 99th percentile`, quantile(took.flat(), 0.99), 'ms');
  yield measure(`changes recorded, ${store}, 1,000 callers at once: processor time of one`, (user + system) / 1000 / recorded, 'ms');
}

async function timed(call: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await call();
  return performance.now() - from;
}
