import type { ShardEnergy, TelemetrySample } from '../contract/telemetry.ts';
import { energyOf, joined, type PowerSpan } from './energy.ts';

/** What computes a shard: the processor, or a GPU by its id. */
export type Device = 'cpu' | (string & {});

export type AttemptKey = Pick<ShardEnergy, 'network' | 'shardId' | 'attempt'>;

interface Run {
  key: AttemptKey;
  fromMs: number;
  /** Null while it goes on; `at` is ms since 1970. */
  end: { device: Device; toMs: number; at: number } | null;
}

const KEPT = 50;
/** Shards between two samples: what comes beyond is not accounted for. */
const MAX_RUNS = 1024;
/** Power is remembered second by second this far back, and before that as one mean: a run may last for a day. */
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

  started(key: AttemptKey, nowMs: number): void {
    if (this.#runs.length < MAX_RUNS) this.#runs.push({ key, fromMs: nowMs, end: null });
  }

  /** A network's shard is tried once at a time. @param device what computed it; null: nothing did to the end */
  ended(network: string, shardId: string, device: Device | null, nowMs: number, at: number): void {
    const run = this.#runs.find(({ key, end }) => end === null && key.network === network && key.shardId === shardId);
    if (run === undefined) return;
    if (device === null) this.#runs = this.#runs.filter((each) => each !== run);
    else run.end = { device, toMs: nowMs, at };
  }

  /**
   * Takes in what was measured, and reckons what ended before it.
   * @param loadWatts what the processor takes under load, as its owner gave it; null: not known
   * @returns what is known since
   */
  sampled(sample: TelemetrySample, nowMs: number, loadWatts: number | null): ShardEnergy[] {
    if (this.#lastMs !== null) {
      this.#add('cpu', nowMs, sample.cpu.powerWatts, loadWatts);
      for (const { gpu, powerWatts, powerLimitWatts, utilization } of sample.gpus) {
        const underLoad = powerLimitWatts === null || utilization === null ? null : powerLimitWatts * utilization;
        this.#add(gpu, nowMs, powerWatts, underLoad);
      }
    }
    this.#lastMs = nowMs;
    const going: Run[] = [];
    const reckoned: ShardEnergy[] = [];
    for (const run of this.#runs) {
      if (run.end === null || run.end.toMs > nowMs) going.push(run);
      else reckoned.push(...this.#reckon(run.key, run.fromMs, run.end));
    }
    this.#runs = going;
    this.#known = [...this.#known, ...reckoned].slice(-KEPT);
    return reckoned;
  }

  /** No samples come any more: what waits for one is not known. */
  forget(): void {
    this.#spans.clear();
    this.#runs = [];
    this.#lastMs = null;
  }

  #reckon(key: AttemptKey, fromMs: number, { device, toMs, at }: NonNullable<Run['end']>): ShardEnergy[] {
    const energy = energyOf(this.#spans.get(device) ?? [], fromMs, toMs);
    return energy === null ? [] : [{ ...key, at, ...energy }];
  }

  #add(device: Device, nowMs: number, measured: number | null, otherwise: number | null): void {
    const span = { fromMs: this.#lastMs as number, toMs: nowMs, watts: measured ?? otherwise, estimated: measured === null };
    const spans = [...(this.#spans.get(device) ?? []), span];
    const [first, second, ...rest] = spans;
    const tooMany = spans.length > MAX_SPANS && first !== undefined && second !== undefined;
    this.#spans.set(device, tooMany ? [joined(first, second), ...rest] : spans);
  }
}
