import type { TelemetryHistory, TelemetrySample } from '../../core/contract/telemetry.ts';

/** As many as the agent keeps itself. */
const MAX_SAMPLES = 300;

/** The history with a new sample at its end; one that is no newer than the last is known already. */
export function addSample(history: TelemetryHistory, sample: TelemetrySample): TelemetryHistory {
  const last = history.samples.at(-1);
  if (last !== undefined && sample.at <= last.at) return history;
  return { ...history, samples: [...history.samples, sample].slice(-MAX_SAMPLES) };
}

/** What the agent kept, with what came by event while it was asked. */
export function joinHistory(kept: TelemetryHistory, heard: TelemetryHistory): TelemetryHistory {
  const end = kept.samples.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
  const later = heard.samples.filter(({ at }) => at > end);
  return { samples: [...kept.samples, ...later].slice(-MAX_SAMPLES), energies: kept.energies };
}
