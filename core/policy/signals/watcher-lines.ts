import { z } from 'zod';
import { GpuId } from '../../contract/hardware.ts';
import type { SignalChange } from '../../contract/policy.ts';

const Pid = z.int().min(0);
const Name = z.string().min(1).max(260);
const Share = z.number().min(0).max(1);

/** What a watcher (resources/signals) tells in a line. A part that isn't there hasn't been looked at; null is unknown. */
export const WatcherLine = z.strictObject({
  idleMs: z.number().min(0).nullable().optional(),
  locked: z.boolean().nullable().optional(),
  fullScreen: z.strictObject({ name: Name }).nullable().optional(),
  power: z
    .strictObject({ source: z.enum(['mains', 'battery']), percent: z.number().min(0).max(100).nullable() })
    .nullable()
    .optional(),
  metered: z.boolean().nullable().optional(),
  otherCpuLoad: Share.nullable().optional(),
  gpus: z.record(GpuId, z.strictObject({ otherLoad: Share.nullable(), otherVramBytes: z.int().min(0).nullable() })).optional(),
  /** Processes that have come, or have become another program, since the last line, and those that are gone. */
  started: z
    .array(z.tuple([Pid, Name]))
    .max(10_000)
    .optional(),
  ended: z.array(Pid).max(10_000).optional(),
});
export type WatcherLine = z.infer<typeof WatcherLine>;

/** A line of a watcher's; null where it is none. */
export function parseWatcherLine(line: string): WatcherLine | null {
  try {
    return WatcherLine.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/** The readings that a line tells, processes apart. */
export function changeFrom({ started: _, ended: __, locked, ...told }: WatcherLine): SignalChange {
  const known = Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) as SignalChange;
  return locked === undefined ? known : { ...known, sessionLocked: locked };
}
