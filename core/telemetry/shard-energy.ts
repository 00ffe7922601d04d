import type { ShardEnergy, TelemetrySample } from '../contract/telemetry.ts';
import { energyOf, type PowerSpan } from './energy.ts';

/** What computes a shard: the processor, or a GPU by its id. */
export type Device = 'cpu' | (string & {});

export type AttemptKey = Pick<ShardEnergy, 'network' | 'shardId' | 'attempt'>;

interface Run {
  key: AttemptKey;
  device: Device;
  fromMs: number;
  toMs: number | null;
  /** When it ended, ms since 1970. */
  at: number;
}

const KEPT = 50;
/** Shards between two samples: what comes beyond is not accounted for. */
const MAX_RUNS = 1024;
/** Power is remembered this far back; a run that lasts longer is reckoned from its last part. */
const MAX_SPANS = 600;

/**
 * Energy of each attempt, from the power at each sample. A sample's power holds for the time since the sample before it, so what ended after
 * the last one waits for the next. The whole device's power counts, whoever else uses it.
 */
export class ShardEnergies {
  readonly #spans = new Map<Device, PowerSpan[]>();
  #runs: Run[] = [];
  #known: ShardEnergy[] = [];
  #lastMs: number | null = null;

  get known(): ShardEnergy[] {
    return this.#known;
  }

  started(key: AttemptKey, device: Device, nowMs: number): void {
    if (this.#runs.length < MAX_RUNS) this.#runs.push({ key, device, fromMs: nowMs, toMs: null, at: 0 });
  }

  /** A network's shard is tried once at a time. */
  ended(network: string, shardId: string, nowMs: number, at: number): void {
    const run = this.#runs.find(({ key, toMs }) => toMs === null && key.network === network && key.shardId === shardId);
    if (run === undefined) return;
    run.toMs = nowMs;
    run.at = at;
  }

  /**
   * Takes in what was measured, and reckons what ended before it.
   * @param loadWatts what the processor takes under load, as its owner gave it; null: not known
   */
  sampled(sample: TelemetrySample, nowMs: number, loadWatts: number | null): void {
    if (this.#lastMs !== null) {
      this.#add('cpu', nowMs, sample.cpu.powerWatts, loadWatts);
      for (const { gpu, powerWatts, powerLimitWatts, utilization } of sample.gpus) {
        const underLoad = powerLimitWatts === null || utilization === null ? null : powerLimitWatts * utilization;
        this.#add(gpu, nowMs, powerWatts, underLoad);
      }
    }
    this.#lastMs = nowMs;
    const over = this.#runs.filter((run) => run.toMs !== null && run.toMs <= nowMs);
    this.#runs = this.#runs.filter((run) => !over.includes(run));
    for (const { key, device, fromMs, toMs, at } of over) {
      const energy = energyOf(this.#spans.get(device) ?? [], fromMs, toMs as number);
      if (energy !== null) this.#known = [...this.#known, { ...key, at, ...energy }].slice(-KEPT);
    }
  }

  /** No samples come any more: what waits for one is not known. */
  forget(): void {
    this.#spans.clear();
    this.#runs = [];
    this.#lastMs = null;
  }

  #add(device: Device, nowMs: number, measured: number | null, otherwise: number | null): void {
    const span = { fromMs: this.#lastMs as number, toMs: nowMs, watts: measured ?? otherwise, estimated: measured === null };
    this.#spans.set(device, [...(this.#spans.get(device) ?? []), span].slice(-MAX_SPANS));
  }
}
