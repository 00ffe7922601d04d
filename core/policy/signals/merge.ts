import type { GpuId } from '../../contract/hardware.ts';
import { type SignalChange, STALE_MS } from '../../contract/policy.ts';

/** What one source has told of one thing, and when. */
type Told = Record<string, { value: unknown; at: number }>;

/**
 * Makes one reading of what several sources tell of the same thing: the first that knows it counts, as long as it repeats itself. Takes a change
 * by one source, and returns what it makes of all of them: without what leaves the reading as it is, so that nobody's old word is passed on as
 * new.
 * @param sources how many there are; each is known by its place
 * @param now ms of a clock that nobody sets
 */
export function createMerge(sources: number, now = () => performance.now()): (source: number, change: SignalChange) => SignalChange {
  const nothing = (): Told[] => Array.from({ length: sources }, () => ({}));
  const machine = nothing();
  const gpus = new Map<GpuId, Told[]>();

  return (source, { gpus: changedGpus = {}, ...changed }) => {
    const at = now();
    const merged: SignalChange = mergeFields(machine, source, changed, at);
    for (const [gpu, fields] of Object.entries(changedGpus)) {
      const known = gpus.get(gpu) ?? nothing();
      gpus.set(gpu, known);
      merged.gpus = { ...merged.gpus, [gpu]: mergeFields(known, source, fields, at) };
    }
    return merged;
  };
}

function mergeFields(known: readonly Told[], source: number, changed: Record<string, unknown>, at: number): Record<string, unknown> {
  const merged: Record<string, unknown> = {};
  const own = known[source] as Told;
  for (const [field, value] of Object.entries(changed)) {
    const counts = () => known.findIndex(({ [field]: told }) => told !== undefined && told.value !== null && at - told.at <= STALE_MS);
    const before = counts();
    own[field] = { value, at };
    const after = counts();
    if (after === source || after !== before || after === -1) merged[field] = known[after]?.[field]?.value ?? null;
  }
  return merged;
}
