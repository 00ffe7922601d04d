import type { Shard } from '../contract/shard.ts';

/** Runs of a model that its usual time is taken from, and models that are remembered. */
const KEPT_RUNS = 8;
const KEPT_MODELS = 64;
/** A rate of fewer tokens is a guess. */
const LEAST_TOKENS = 4;

interface Running {
  shard: Shard;
  startedAt: number;
  tokens: number;
  firstTokenAt: number;
  tokenAt: number;
}

/** How long the shards that run will still take, as far as that can be told from what ran before. Times in ms of any clock that goes on. */
export class Remaining {
  readonly #runs = new Map<string, number[]>();
  readonly #running = new Map<string, Running>();

  started(shard: Shard, at: number): void {
    this.#running.set(shard.id, { shard, startedAt: at, tokens: 0, firstTokenAt: at, tokenAt: at });
  }

  token(shardId: string, at: number): void {
    const running = this.#running.get(shardId);
    if (running === undefined) return;
    if (running.tokens === 0) running.firstTokenAt = at;
    running.tokens += 1;
    running.tokenAt = at;
  }

  /** It was computed: its time is one of those that its model takes. */
  computed(shardId: string, at: number): void {
    const running = this.#running.get(shardId);
    if (running === undefined) return;
    const { digest } = running.shard.model;
    const runs = this.#runs.get(digest) ?? [];
    this.#runs.delete(digest);
    this.#runs.set(digest, [...runs, at - running.startedAt].slice(-KEPT_RUNS));
    for (const [oldest] of this.#runs) if (this.#runs.size > KEPT_MODELS) this.#runs.delete(oldest);
    this.ended(shardId);
  }

  /** It runs no more, however it ended. */
  ended(shardId: string): void {
    this.#running.delete(shardId);
  }

  /** Until the last of them ends; null where that isn't known of all, or nothing runs. A generation may end before that by itself. */
  ms(at: number): number | null {
    const left = [...this.#running.values()].map((running) => this.#leftOf(running, at));
    return left.length === 0 || left.includes(null) ? null : Math.max(...left.map(Number));
  }

  #leftOf({ shard, startedAt, tokens, firstTokenAt, tokenAt }: Running, at: number): number | null {
    if (shard.kind === 'onnx.generate') {
      if (tokens < LEAST_TOKENS) return null;
      return ((tokenAt - firstTokenAt) / (tokens - 1)) * (shard.maxNewTokens - tokens);
    }
    const runs = this.#runs.get(shard.model.digest);
    if (runs === undefined) return null;
    const left = Math.max(...runs) - (at - startedAt);
    // Longer than any before: nothing is known of this one.
    return left < 0 ? null : left;
  }
}
