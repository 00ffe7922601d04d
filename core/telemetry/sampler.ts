import { join } from 'node:path';
import type { GpuSample, TelemetrySample } from '../contract/telemetry.ts';
import { findCards, readCard } from './cards.ts';
import { cpuReader, type WorkerUsage } from './cpu.ts';
import { drmMemory } from './drm-memory.ts';
import type { NvidiaSource } from './nvidia.ts';

const MAX_GPUS = 64;
const MEMORY_EVERY_MS = 5000;

export interface SamplerOptions {
  /** ms since 1970. */
  clock: () => number;
  /** What our workers use, and their processes; null while there are none, or where it isn't told. */
  workers: () => (WorkerUsage & { pids: readonly number[] }) | null;
  /** Null on a machine without NVIDIA's driver. */
  nvidia: NvidiaSource | null;
  /** Where /sys and /proc are; elsewhere in tests. */
  root?: string;
}

/** Takes a sample of the whole machine each time it is called. What is told as a count becomes known with the second one. */
export function createSampler({ clock, workers, nvidia, root = '/' }: SamplerOptions): (nowMs: number) => TelemetrySample {
  const cards = findCards(root);
  const readCpu = cpuReader(root);
  let held: { at: number; bytes: Map<string, number> } | null = null;

  /** Whose the memory of the kernel's cards is: seldom looked at, since it takes a look at each file that our workers have open. */
  function withOurs(sample: GpuSample, pids: readonly number[], nowMs: number): GpuSample {
    if (held === null || nowMs - held.at >= MEMORY_EVERY_MS) held = { at: nowMs, bytes: drmMemory(join(root, 'proc'), pids) };
    const ours = held.bytes.get(sample.gpu);
    const { memoryUsedBytes: used } = sample;
    if (ours === undefined || (used !== null && ours > used)) return sample;
    return { ...sample, memoryOursBytes: ours, memoryOthersBytes: used === null ? null : used - ours };
  }

  return (nowMs) => {
    const usage = workers();
    const told = nvidia?.read(usage === null ? null : new Set(usage.pids)) ?? [];
    const read = cards
      .map((card) => readCard(card, nowMs))
      .filter((each) => each !== null)
      .map((each) => (usage === null ? each : withOurs(each, usage.pids, nowMs)));
    return { at: clock(), cpu: readCpu(nowMs, usage), gpus: [...told, ...read].slice(0, MAX_GPUS) };
  };
}
