import { setTimeout as wait } from 'node:timers/promises';
import { type Measure, measure } from './measure.ts';

export interface TelemetryBench {
  /** Takes one sample. */
  sample(): void;
  /** Starts what measures in processes of its own, and ends it. */
  start(): void;
  stop(): void;
  pids(): number[];
  /** Processor time of a process and those below it so far (ms); null where the system doesn't tell. */
  usage(pid: number): { cpuMs: number } | null;
}

/** Many samples together, since one takes less than systems count processor time in. */
const SAMPLES = 500;
/** Of a core, in percent. */
const MOST_SHARE = 0.5;
/** What it takes to start happens once for a stretch of work. */
const START_MS = 2000;

/** What a live eye on the machine costs at one sample a second: this process's part, and that of the processes that measure for it. */
export async function* measureTelemetry(bench: TelemetryBench, quick: boolean): AsyncGenerator<Measure> {
  const seconds = quick ? 5 : 30;
  bench.start();
  try {
    await wait(START_MS);
    const before = childrenMs(bench);
    await wait(seconds * 1000);
    const childrenPerSample = (childrenMs(bench) - before) / seconds;
    const from = process.cpuUsage();
    for (let sample = 0; sample < SAMPLES; sample += 1) bench.sample();
    const { user, system } = process.cpuUsage(from);
    const perSample = (user + system) / 1000 / SAMPLES + childrenPerSample;
    const share = (perSample / 1000) * 100;
    const baseline = { name: 'the most that it may take', value: MOST_SHARE };
    yield measure('telemetry, at one sample a second', share, '% of a core', { baseline, ratio: share / MOST_SHARE });
  } finally {
    bench.stop();
  }
}

function childrenMs({ pids, usage }: TelemetryBench): number {
  return pids().reduce((sum, pid) => sum + (usage(pid)?.cpuMs ?? 0), 0);
}
