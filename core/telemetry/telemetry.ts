import type { ShardEnergy, TelemetryHistory, TelemetrySample } from '../contract/telemetry.ts';
import { createSampler, type SamplerOptions } from './sampler.ts';
import { type AttemptKey, type Device, ShardEnergies } from './shard-energy.ts';

const SAMPLE_MS = 1000;
/** The next shard mostly follows at once; without one, nothing is measured any more after so long. */
const LINGER_MS = 3000;
const KEPT_SAMPLES = 300;
const KEPT_MS = KEPT_SAMPLES * SAMPLE_MS;

/** A live eye on the machine while it works, and none while it doesn't. */
export interface Telemetry {
  /** A shard begins to run: sampling starts, where it hasn't. */
  started(key: AttemptKey): void;
  /** A network's shard runs no more. @param device what computed it; null: it came to no result */
  ended(network: string, shardId: string, device: Device | null): void;
  /** Nothing runs: sampling stops within seconds, unless something starts. */
  idle(): void;
  /** Samples while something else computes than a shard, until the returned function is called. */
  watch(): () => void;
  history(): TelemetryHistory;
  close(): void;
}

export interface TelemetryOptions extends SamplerOptions {
  /** What the processor takes under load (W), as its owner gave it; null: not known. */
  loadWatts: () => number | null;
  onSample: (sample: TelemetrySample) => void;
  /** Energy of runs that ended before the sample: each is told once. */
  onEnergies: (energies: ShardEnergy[]) => void;
}

export function createTelemetry(options: TelemetryOptions): Telemetry {
  const { clock, nvidia, loadWatts, onSample, onEnergies } = options;
  const energies = new ShardEnergies();
  let samples: TelemetrySample[] = [];
  let take: ReturnType<typeof createSampler> | undefined;
  let sampling: NodeJS.Timeout | undefined;
  let beginning: NodeJS.Immediate | undefined;
  let stopping: NodeJS.Timeout | undefined;
  /** What is computed beside shards. */
  let watchers = 0;

  function sample(): void {
    take ??= createSampler(options);
    const nowMs = performance.now();
    const taken = take(nowMs);
    samples = [...samples, taken].slice(-KEPT_SAMPLES);
    const known = energies.sampled(taken, nowMs, loadWatts());
    if (known.length > 0) onEnergies(known);
    onSample(taken);
  }

  function start(): void {
    clearTimeout(stopping);
    stopping = undefined;
    if (sampling !== undefined) return;
    sampling = setInterval(sample, SAMPLE_MS);
    // Not before what is to be watched has been started itself: it takes a millisecond or two.
    beginning = setImmediate(() => {
      nvidia?.start();
      sample();
    });
  }

  function stop(): void {
    clearTimeout(stopping);
    stopping = undefined;
    clearInterval(sampling);
    clearImmediate(beginning);
    sampling = undefined;
    nvidia?.stop();
    energies.forget();
    // Counters go on while nobody looks: the next stretch begins with none.
    take = undefined;
  }

  function stopSoon(): void {
    if (sampling === undefined || watchers > 0) return;
    stopping ??= setTimeout(stop, LINGER_MS);
  }

  return {
    started(key) {
      start();
      energies.started(key, performance.now());
    },
    ended: (network, shardId, device) => energies.ended(network, shardId, device, performance.now(), clock()),
    idle: stopSoon,
    watch() {
      watchers += 1;
      start();
      return () => {
        watchers -= 1;
        stopSoon();
      };
    },
    history: () => ({ samples: samples.filter(({ at }) => at > clock() - KEPT_MS), energies: energies.known }),
    close: stop,
  };
}
