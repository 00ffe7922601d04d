import type { GpuId } from '../contract/hardware.ts';
import type { GpuSample } from '../contract/telemetry.ts';

/** A worker on one GPU, and what it may hold of that GPU's own memory (bytes); null where the GPU has none, or its size isn't known. */
interface Limited {
  gpu: GpuId;
  vramLimitBytes: number | null;
}

/**
 * The workers that hold more of their GPU's memory than they may, the driver's context for them included: it is as much gone for others as what
 * models take. What isn't told passes no limit. Pure.
 */
export function overVram<T extends Limited>(
  samples: readonly Pick<GpuSample, 'gpu' | 'memoryOursBytes'>[],
  workers: readonly T[],
): { worker: T; heldBytes: number; limitBytes: number }[] {
  return workers.flatMap((worker) => {
    const heldBytes = samples.find(({ gpu }) => gpu === worker.gpu)?.memoryOursBytes ?? null;
    const limitBytes = worker.vramLimitBytes;
    return heldBytes === null || limitBytes === null || heldBytes <= limitBytes ? [] : [{ worker, heldBytes, limitBytes }];
  });
}
