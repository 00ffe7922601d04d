import type { Shard } from '../contract/shard.ts';

/** Runs of a model that its usual time is taken from, and models that are remembered. */
const KEPT_RUNS = 8;
const KEPT_MODELS = 64;
/** A rate of fewer tokens is a guess. */
const LEAST_TOKENS = 4;

/** How long the shard that runs will still take, as far as that can be told from what ran before. Times in ms of any clock that goes on. */
export class Remaining {
  readonly #runs = new Map<string, number[]>();
  #current: { shard: Shard; startedAt: number; tokens: number; tokenAt: number; firstTokenAt: number } | null = null;

  started(shard: Shard, at: number): void {
    this.#current = { shard, startedAt: at, tokens: 0, tokenAt: at, firstTokenAt: at };
  }

  token(at: number): void {
    if (this.#current === null) return;
    if (this.#current.tokens === 0) this.#current.firstTokenAt = at;
    this.#current.tokens += 1;
    this.#current.tokenAt = at;
  }

  /** It was computed: its time is one of those that its model takes. */
  computed(at: number): void {
    if (this.#current === null) return;
    const { shard, startedAt } = this.#current;
    const runs = this.#runs.get(shard.model.digest) ?? [];
    this.#runs.delete(shard.model.digest);
    this.#runs.set(shard.model.digest, [...runs, at - startedAt].slice(-KEPT_RUNS));
    for (const [digest] of this.#runs) if (this.#runs.size > KEPT_MODELS) this.#runs.delete(digest);
    this.#current = null;
  }

  /** Null where nothing is known; a generation may end before that by itself. */
  ms(at: number): number | null {
    if (this.#current === null) return null;
    const { shard, startedAt, tokens, tokenAt, firstTokenAt } = this.#current;
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
