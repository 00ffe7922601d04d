import { HearthlendError } from '../contract/errors.ts';
import type { PauseRecord } from '../contract/policy.ts';
import { type Measure, measure, quantile } from './measure.ts';

/** A whole agent with signals of the bench's own. */
export interface YieldBench {
  /** Has the agent compute something longer; resolves when its worker is in the middle of it. */
  busy(): Promise<void>;
  /** A listed program starts; resolves when the worker is gone and that is on record. */
  yield(): Promise<PauseRecord>;
  /** Whether another worker gets what the agent had. */
  relent(): Promise<boolean>;
  /** The program has closed, and work may go on at once. */
  calm(): Promise<void>;
}

const MB = 1e6;

/** From a signal to the worker gone, with a busy worker: what it computed is lent to another, and what came back is measured, each time. */
export async function* measureYield(bench: YieldBench, quick: boolean): AsyncGenerator<Measure> {
  const trials = quick ? 20 : 200;
  const times: number[] = [];
  const freed: number[] = [];
  for (let trial = 0; trial < trials; trial += 1) {
    await bench.busy();
    const pause = await bench.yield();
    if (!(await bench.relent())) throw new HearthlendError('INTERNAL', { detail: 'what was released could not be lent again' });
    if (pause.yieldMs === null || pause.freed === null) throw new HearthlendError('INTERNAL', { detail: 'a pause gave nothing back' });
    times.push(pause.yieldMs);
    freed.push(pause.freed.memory.bytes / MB);
    await bench.calm();
  }
  yield measure(`yield: from a listed program's start to the busy worker gone, ${trials} times, p50`, quantile(times, 0.5), 'ms');
  yield measure(`yield: the same, p99`, quantile(times, 0.99), 'ms');
  yield measure('yield: memory that came back, measured each time, p50', quantile(freed, 0.5), 'MB');
}
