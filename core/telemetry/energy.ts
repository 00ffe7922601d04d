/** Power of one device over the time up to `toMs` from `fromMs` (any clock). Null: not known, and nothing to estimate it from. */
export interface PowerSpan {
  fromMs: number;
  toMs: number;
  watts: number | null;
  /** No sensor measured it: what the device takes under load stands in its place. */
  estimated: boolean;
}

/** Of a run, the least part whose power must be known. */
const LEAST_COVERED = 0.5;

/**
 * Energy of what ran from `fromMs` to `toMs`: power over time, where it is known; the gaps are taken to be like the rest. Null where less than
 * half of it is known. A run of no length took nothing.
 */
export function energyOf(spans: readonly PowerSpan[], fromMs: number, toMs: number): { joules: number; estimated: boolean } | null {
  const length = toMs - fromMs;
  if (!(length >= 0)) return null;
  let coveredMs = 0;
  let joules = 0;
  let estimated = false;
  for (const span of spans) {
    const ms = Math.min(toMs, span.toMs) - Math.max(fromMs, span.fromMs);
    if (span.watts === null || ms < 0 || (ms === 0 && length > 0)) continue;
    coveredMs += ms;
    joules += (span.watts * ms) / 1000;
    estimated ||= span.estimated;
  }
  if (length === 0) return { joules: 0, estimated };
  if (coveredMs / length < LEAST_COVERED) return null;
  return { joules: joules * (length / coveredMs), estimated };
}

/** Two spans that follow each other as one, with the mean of what is known of them; not known where less than half is. */
export function joined(before: PowerSpan, after: PowerSpan): PowerSpan {
  const { fromMs } = before;
  const { toMs } = after;
  const energy = energyOf([before, after], fromMs, toMs);
  const watts = energy === null || toMs <= fromMs ? null : (energy.joules * 1000) / (toMs - fromMs);
  return { fromMs, toMs, watts, estimated: energy?.estimated ?? false };
}
