import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { CacheSlot } from '../shard/decoder-layout.ts';
import { failureOf } from '../shard/failure.ts';
import type { Session } from '../shard/session.ts';
import { elementsOf } from '../shard/tensors.ts';
import { AlternatingCache, emptyCache, type KeyValueCache, SharedCache, sameBits, sameLastPositions } from './kv-cache.ts';
import type { Ort } from './onnxruntime.ts';

export type Values = Record<string, OnnxValue>;

/** Which loaded decoders can be called with one memory for the cache that goes in and the one that comes out. Found out at their first token. */
const sharesCache = new WeakMap<Session, boolean>();

/** ONNX Runtime's log level "fatal": a refusal that is expected stays out of the worker's stderr. */
const QUIET = { logSeverityLevel: 4 } as const;

/** Passes over a graph with a cache, which is kept between them where that is fastest. */
export class CachedPasses {
  readonly #ort: Ort;
  readonly #session: Session;
  readonly #slots: readonly CacheSlot[];
  readonly #gives: readonly string[];
  readonly #mostPositions: number;
  #cache: KeyValueCache | null = null;
  #length = 0;
  /** One token's logits, written anew by each pass. */
  #logits: OnnxValue | null = null;

  /** @param gives outputs wanted of each pass @param mostPositions tokens of all passes together, at most */
  constructor(ort: Ort, session: Session, slots: readonly CacheSlot[], gives: readonly string[], mostPositions: number) {
    this.#ort = ort;
    this.#session = session;
    this.#slots = slots;
    this.#gives = gives;
    this.#mostPositions = mostPositions;
  }

  /** Tokens in the cache. */
  get length(): number {
    return this.#length;
  }

  /**
   * Several tokens, before any went in alone. @param feeds everything but the cache
   * @throws RUN_FAILED, MODEL_NOT_GENERATIVE where it makes no cache of their number
   */
  async many(feeds: Values, count: number): Promise<Values> {
    if (this.#cache instanceof SharedCache) throw new HearthlendError('RUN_FAILED', { detail: 'several tokens came after single ones' });
    const past = this.#cache instanceof AlternatingCache ? this.#cache.feeds() : emptyCache(this.#ort, this.#slots);
    const results = await this.#run({ ...feeds, ...past }, [...this.#gives, ...this.#slots.map(({ present }) => present)]);
    this.#length += count;
    this.#cache = new AlternatingCache(this.#ort, this.#slots, results, this.#length, this.#mostPositions);
    return results;
  }

  /** One more token. @throws RUN_FAILED */
  async one(feeds: Values): Promise<Values> {
    if (this.#cache === null) return this.many(feeds, 1);
    if (this.#cache instanceof AlternatingCache && sharesCache.get(this.#session) !== false) {
      const shared = new SharedCache(this.#ort, this.#slots, this.#cache, this.#mostPositions);
      if (sharesCache.get(this.#session) === undefined) return this.#tryBoth(feeds, this.#cache, shared);
      this.#cache = shared;
    }
    const results = await this.#pass(feeds, this.#cache);
    // Its memory is the outputs' from here on: it has been read when the next pass begins.
    this.#logits ??= results.logits ?? null;
    return results;
  }

  /**
   * Whether the cache may stay in one place is nowhere declared: a graph may look at the cache's length, which then is no longer the number of
   * tokens. So the first token goes both ways, and only where outputs and cache have the same bits is the faster one kept for this model.
   */
  async #tryBoth(feeds: Values, alternating: AlternatingCache, shared: SharedCache): Promise<Values> {
    const { feeds: past, fetches } = shared.pass();
    const trial = await this.#session.ort.run({ ...feeds, ...past }, { ...this.#fetches(), ...fetches }, QUIET).catch(() => undefined);
    const results = await this.#pass(feeds, alternating);
    shared.advance();
    const same =
      trial !== undefined &&
      this.#gives.every((name) => sameBits(elementsOf(trial[name] as OrtTensor), elementsOf(results[name] as OrtTensor))) &&
      sameLastPositions(alternating, shared);
    sharesCache.set(this.#session, same);
    if (same) this.#cache = shared;
    return results;
  }

  async #pass(feeds: Values, cache: KeyValueCache): Promise<Values> {
    const { feeds: past, fetches } = cache.pass();
    const results = await this.#run({ ...feeds, ...past }, { ...this.#fetches(), ...fetches });
    cache.advance();
    this.#length += 1;
    return results;
  }

  #fetches(): Record<string, OnnxValue | null> {
    return Object.fromEntries(this.#gives.map((name) => [name, name === 'logits' ? this.#logits : null]));
  }

  async #run(feeds: Values, fetches: string[] | Record<string, OnnxValue | null>): Promise<Values> {
    const running = Array.isArray(fetches) ? this.#session.ort.run(feeds, fetches) : this.#session.ort.run(feeds, fetches);
    return await running.catch((thrown) => {
      throw failureOf(thrown, 'RUN_FAILED');
    });
  }
}
