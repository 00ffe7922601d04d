import type { TelemetrySample } from '../contract/telemetry.ts';

/** Fewer seconds say little of an hour. */
const LEAST_SAMPLES = 30;

/** What processor and GPUs took on average, of those parts that have a sensor; null where too little is known. */
export function meanWatts(samples: readonly TelemetrySample[]): number | null {
  const watts = samples
    .map(({ cpu, gpus }) => [cpu, ...gpus].map(({ powerWatts }) => powerWatts).filter((each) => each !== null))
    .filter((parts) => parts.length > 0)
    .map((parts) => parts.reduce((sum, each) => sum + each, 0));
  return watts.length < LEAST_SAMPLES ? null : watts.reduce((sum, each) => sum + each, 0) / watts.length;
}
