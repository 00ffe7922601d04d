import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** What a figure holds for: this machine, and what else it was doing. */
export interface Machine {
  event: 'machine';
  cpu: string;
  cores: number;
  /** Processes that wanted to run, on average of the last minute, when the bench began. */
  load: number;
  /** Linux's frequency policy; null where it isn't told. */
  governor: string | null;
  memoryBytes: number;
  platform: string;
  node: string;
  /** Threads that a shard and its baseline have. */
  threads: number;
}

const GOVERNOR = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor';

export function describeMachine(threads: number): Machine {
  return {
    event: 'machine',
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
    governor: existsSync(GOVERNOR) ? readFileSync(GOVERNOR, 'utf8').trim() : null,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    threads,
  };
}
