import type { OnnxValue } from 'onnxruntime-node';
import { decoderFeeds, PIECE_TOKENS } from '../shard/decoder-feeds.ts';
import type { DecoderLayout } from '../shard/decoder-layout.ts';
import type { Passes } from '../shard/generate.ts';
import type { Session } from '../shard/session.ts';
import { CachedPasses, type Values } from './cached-passes.ts';
import type { Ort } from './onnxruntime.ts';

/** The passes of one generation, each giving the logits after its last token. */
export class DecoderPasses implements Passes {
  readonly #ort: Ort;
  readonly #layout: DecoderLayout;
  readonly #passes: CachedPasses;

  /** @param mostPositions tokens of prompt and answer together, at most */
  constructor(ort: Ort, session: Session, layout: DecoderLayout, mostPositions: number) {
    this.#ort = ort;
    this.#layout = layout;
    this.#passes = new CachedPasses(ort, session, layout.caches, ['logits'], mostPositions);
  }

  /** The prompt, in pieces where it is long. @throws RUN_FAILED, MODEL_NOT_GENERATIVE where it makes no cache of its length */
  async first(prompt: readonly number[]): Promise<OnnxValue | undefined> {
    let results: Values = {};
    while (this.#passes.length < prompt.length) {
      const piece = prompt.slice(this.#passes.length, this.#passes.length + PIECE_TOKENS);
      results = await this.#passes.many(decoderFeeds(this.#ort, this.#layout, this.#passes.length, piece), piece.length);
    }
    return results.logits;
  }

  /** One more token. @throws RUN_FAILED */
  async next(token: number): Promise<OnnxValue | undefined> {
    return (await this.#passes.one(decoderFeeds(this.#ort, this.#layout, this.#passes.length, [token]))).logits;
  }
}
