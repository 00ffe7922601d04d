import type { GpuId } from '../../contract/hardware.ts';
import type { SignalChange } from '../../contract/policy.ts';

type Fields = Record<string, unknown>;

/**
 * Makes one reading of what several sources tell of the same thing: the first that knows it counts. Takes a change by one source, and returns
 * what it makes of all of them.
 * @param sources how many there are; each is known by its place
 */
export function createMerge(sources: number): (source: number, change: SignalChange) => SignalChange {
  const machine = Array.from({ length: sources }, (): Fields => ({}));
  const gpus = new Map<GpuId, Fields[]>();

  return (source, { gpus: changedGpus = {}, ...changed }) => {
    const merged: SignalChange = mergeFields(machine, source, changed);
    for (const [gpu, fields] of Object.entries(changedGpus)) {
      const known = gpus.get(gpu) ?? Array.from({ length: sources }, (): Fields => ({}));
      gpus.set(gpu, known);
      merged.gpus = { ...merged.gpus, [gpu]: mergeFields(known, source, fields) };
    }
    return merged;
  };
}

function mergeFields(known: readonly Fields[], source: number, changed: Fields): Fields {
  Object.assign(known[source] as Fields, changed);
  return Object.fromEntries(Object.keys(changed).map((field) => [field, known.find((of) => of[field] != null)?.[field] ?? null]));
}
