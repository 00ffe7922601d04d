import { GpuId } from '../contract/hardware.ts';
import { GpuSignals, MACHINE_SIGNALS, type SignalChange, type Signals } from '../contract/policy.ts';

/** The readings alone: what sources tell. */
export type Readings = Pick<Signals, keyof typeof MACHINE_SIGNALS | 'gpus'>;

const MAX_GPUS = 128;

export const UNKNOWN: Readings = {
  ...(Object.fromEntries(Object.keys(MACHINE_SIGNALS).map((name) => [name, null])) as Omit<Readings, 'gpus'>),
  gpus: {},
};

/** The readings after a source told something, as of `at` on the steady clock. What is not as the schema has it is nonsense, and so unknown. */
export function accept(readings: Readings, change: SignalChange, at: number): Readings {
  const { gpus = {}, ...machine } = change;
  const next: Readings = { ...readings, ...taken(MACHINE_SIGNALS, machine, at) };
  for (const [id, told] of Object.entries(gpus)) {
    const known = next.gpus[id];
    if (!GpuId.safeParse(id).success || (known === undefined && Object.keys(next.gpus).length >= MAX_GPUS)) continue;
    const before = known ?? GpuSignals.parse({});
    next.gpus = { ...next.gpus, [id]: { ...before, ...taken(GpuSignals.shape, told, at) } };
  }
  return next;
}

type Schemas = Record<string, { safeParse(value: unknown): { success: boolean; data?: unknown } }>;

function taken(schemas: Schemas, told: Record<string, unknown>, at: number): Record<string, unknown> {
  const fields = Object.entries(told).filter(([name, value]) => Object.hasOwn(schemas, name) && value !== undefined);
  return Object.fromEntries(
    fields.map(([name, value]) => {
      const reading = value === null ? null : schemas[name]?.safeParse({ value, at });
      return [name, reading?.success ? reading.data : null];
    }),
  );
}
