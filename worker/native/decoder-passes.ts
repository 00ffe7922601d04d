import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { decoderFeeds, PIECE_TOKENS } from '../shard/decoder-feeds.ts';
import type { DecoderLayout } from '../shard/decoder-layout.ts';
import { failureOf } from '../shard/failure.ts';
import type { Passes } from '../shard/generate.ts';
import type { Session } from '../shard/session.ts';
import { elementsOf } from '../shard/tensors.ts';
import { AlternatingCache, emptyCache, type KeyValueCache, SharedCache, sameBits, sameLastPositions } from './kv-cache.ts';
import type { Ort } from './onnxruntime.ts';

type Values = Record<string, OnnxValue>;

/** Which loaded decoders can be called with one memory for the cache that goes in and the one that comes out. Found out at their first token. */
const sharesCache = new WeakMap<Session, boolean>();

/** ONNX Runtime's log level "fatal": a refusal that is expected stays out of the worker's stderr. */
const QUIET = { logSeverityLevel: 4 } as const;

/** The passes of one generation, each giving the logits after its last token. */
export class DecoderPasses implements Passes {
  readonly #ort: Ort;
  readonly #session: Session;
  readonly #layout: DecoderLayout;
  readonly #mostPositions: number;
  #cache: KeyValueCache | null = null;
  #length = 0;
  /** One token's logits, written anew by each pass. */
  #logits: OnnxValue | null = null;

  /** @param mostPositions tokens of prompt and answer together, at most */
  constructor(ort: Ort, session: Session, layout: DecoderLayout, mostPositions: number) {
    this.#ort = ort;
    this.#session = session;
    this.#layout = layout;
    this.#mostPositions = mostPositions;
  }

  /** The prompt, in pieces where it is long. @throws RUN_FAILED, MODEL_NOT_GENERATIVE where it makes no cache of its length */
  async first(prompt: readonly number[]): Promise<OnnxValue | undefined> {
    const { caches } = this.#layout;
    const fetches = ['logits', ...caches.map(({ present }) => present)];
    let past = emptyCache(this.#ort, caches);
    let results: Values = {};
    while (this.#length < prompt.length) {
      const piece = prompt.slice(this.#length, this.#length + PIECE_TOKENS);
      results = await this.#run({ ...decoderFeeds(this.#ort, this.#layout, this.#length, piece), ...past }, fetches);
      this.#length += piece.length;
      past = Object.fromEntries(caches.map((slot) => [slot.past, results[slot.present] as OnnxValue]));
    }
    this.#cache = new AlternatingCache(this.#ort, caches, results, this.#length, this.#mostPositions);
    return results.logits;
  }

  /** One more token. @throws RUN_FAILED */
  async next(token: number): Promise<OnnxValue | undefined> {
    const feeds = decoderFeeds(this.#ort, this.#layout, this.#length, [token]);
    if (this.#cache instanceof AlternatingCache && sharesCache.get(this.#session) !== false) {
      const shared = new SharedCache(this.#ort, this.#layout.caches, this.#cache, this.#mostPositions);
      if (sharesCache.get(this.#session) === undefined) return this.#tryBoth(feeds, this.#cache, shared);
      this.#cache = shared;
    }
    const results = await this.#pass(feeds, this.#cache as KeyValueCache);
    // Its memory is the outputs' from here on: it has been read when the next pass begins.
    this.#logits ??= results.logits ?? null;
    return results.logits;
  }

  /**
   * Whether the cache may stay in one place is nowhere declared: a graph may look at the cache's length, which then is no longer the number of
   * tokens. So the first token goes both ways, and only where logits and cache have the same bits is the faster one kept for this model.
   */
  async #tryBoth(feeds: Values, alternating: AlternatingCache, shared: SharedCache): Promise<OnnxValue | undefined> {
    const { feeds: past, fetches } = shared.pass();
    const trial = await this.#session.ort.run({ ...feeds, ...past }, { logits: null, ...fetches }, QUIET).catch(() => undefined);
    const results = await this.#pass(feeds, alternating);
    shared.advance();
    const same =
      trial !== undefined &&
      sameBits(elementsOf(trial.logits as OrtTensor), elementsOf(results.logits as OrtTensor)) &&
      sameLastPositions(alternating, shared);
    sharesCache.set(this.#session, same);
    if (same) this.#cache = shared;
    return results.logits;
  }

  async #pass(feeds: Values, cache: KeyValueCache): Promise<Values> {
    const { feeds: past, fetches } = cache.pass();
    const results = await this.#run({ ...feeds, ...past }, { logits: this.#logits, ...fetches });
    cache.advance();
    this.#length += 1;
    return results;
  }

  async #run(feeds: Values, fetches: string[] | Record<string, OnnxValue | null>): Promise<Values> {
    const running = Array.isArray(fetches) ? this.#session.ort.run(feeds, fetches) : this.#session.ort.run(feeds, fetches);
    return await running.catch((thrown) => {
      throw failureOf(thrown, 'RUN_FAILED');
    });
  }
}
