import type { Sha256 } from '../contract/digest.ts';
import { type Shard, unitsOf } from '../contract/shard.ts';

/** Runs that a model's rate is taken from, and models that are remembered. */
const KEPT_RUNS = 16;
const KEPT_MODELS = 256;
const HOUR_MS = 3_600_000;

interface Run {
  units: number;
  ms: number;
}

/** How many units of a model's work this machine does in an hour, by what it did before. Times in ms of any clock that goes on. */
export class Rates {
  readonly #runs = new Map<string, Run[]>();
  readonly #running = new Map<string, { shard: Shard; startedAt: number; tokens: number }>();

  /** What the records say of before. */
  learn(model: Sha256, unit: Shard['price']['unit'], units: number, ms: number): void {
    if (units <= 0 || ms <= 0) return;
    const key = `${unit} ${model}`;
    const runs = this.#runs.get(key) ?? [];
    this.#runs.delete(key);
    this.#runs.set(key, [...runs, { units, ms }].slice(-KEPT_RUNS));
    for (const [oldest] of this.#runs) if (this.#runs.size > KEPT_MODELS) this.#runs.delete(oldest);
  }

  started(shard: Shard, at: number): void {
    this.#running.set(shard.id, { shard, startedAt: at, tokens: 0 });
  }

  token(shardId: string): void {
    const running = this.#running.get(shardId);
    if (running !== undefined) running.tokens += 1;
  }

  computed(shardId: string, at: number): void {
    const running = this.#running.get(shardId);
    if (running === undefined) return;
    const { shard, startedAt, tokens } = running;
    this.learn(shard.model.digest, shard.price.unit, unitsOf(shard, tokens), at - startedAt);
    this.#running.delete(shardId);
  }

  ended(shardId: string): void {
    this.#running.delete(shardId);
  }

  /** Null for a model that was never run here. */
  unitsPerHour(model: Sha256, unit: Shard['price']['unit']): number | null {
    const runs = this.#runs.get(`${unit} ${model}`);
    if (runs === undefined) return null;
    const units = runs.reduce((sum, run) => sum + run.units, 0);
    return (units * HOUR_MS) / runs.reduce((sum, run) => sum + run.ms, 0);
  }
}
