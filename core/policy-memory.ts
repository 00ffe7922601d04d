import { freemem } from 'node:os';
import type { Freed } from './contract/policy.ts';
import { residentBytes } from './supervisor/process-usage.ts';
import type { Workers } from './workers.ts';

/** What the workers hold, and the whole machine had left, before they are killed. */
export interface HeldMemory {
  workers: ReturnType<Workers['usage']>;
  freeBytes: number;
}

/** Null where no worker is there. */
export function heldMemory(workers: Workers): HeldMemory | null {
  return workers.running() ? { workers: workers.usage(), freeBytes: freemem() } : null;
}

/** What came back, once they are gone: of their processes where the system tells, else what the whole machine has more of. */
export function freedMemory({ workers, freeBytes }: HeldMemory): Freed['memory'] {
  if (workers === null) return { bytes: freemem() - freeBytes, leftBytes: null, by: 'machine' };
  const leftBytes = residentBytes(workers.pids);
  return { bytes: workers.residentBytes - leftBytes, leftBytes, by: 'process' };
}
