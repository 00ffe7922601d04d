import type { OnnxValue, Tensor as OrtTensor } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import { decoderFeeds, PIECE_TOKENS } from '../shard/decoder-feeds.ts';
import type { CacheSlot, DecoderLayout } from '../shard/decoder-layout.ts';
import { failureOf } from '../shard/failure.ts';
import type { Passes } from '../shard/generate.ts';
import type { Ort, Session } from '../shard/session.ts';
import { newElements } from '../shard/tensors.ts';

type Values = Record<string, OnnxValue>;

/**
 * The passes of one generation with the cache left where it was made, on the GPU: what a pass gives goes into the next one as it is, and is let
 * go of when that is done. Only the logits come back.
 */
export class GpuPasses implements Passes {
  readonly #ort: Ort;
  readonly #session: Session;
  readonly #layout: DecoderLayout;
  #past: Values;
  #length = 0;

  constructor(ort: Ort, session: Session, layout: DecoderLayout) {
    this.#ort = ort;
    this.#session = session;
    this.#layout = layout;
    this.#past = Object.fromEntries(
      layout.caches.map(({ past, type, heads, headSize }) => [
        past,
        new ort.Tensor(type, newElements(type, 0) as never, [1, heads, 0, headSize]),
      ]),
    );
  }

  async first(prompt: readonly number[]): Promise<OnnxValue | undefined> {
    let logits: OnnxValue | undefined;
    while (this.#length < prompt.length) logits = await this.#pass(prompt.slice(this.#length, this.#length + PIECE_TOKENS));
    return logits;
  }

  next(token: number): Promise<OnnxValue | undefined> {
    return this.#pass([token]);
  }

  /** Gives the cache's memory back. */
  close(): void {
    for (const value of Object.values(this.#past)) (value as OrtTensor).dispose();
    this.#past = {};
  }

  async #pass(ids: readonly number[]): Promise<OnnxValue | undefined> {
    const { caches } = this.#layout;
    const feeds = { ...decoderFeeds(this.#ort, this.#layout, this.#length, ids), ...this.#past };
    const results: Values = await this.#session.ort.run(feeds, ['logits', ...caches.map(({ present }) => present)]).catch((thrown) => {
      throw failureOf(thrown, 'RUN_FAILED');
    });
    this.#length += ids.length;
    for (const slot of caches) checkPresent(slot, results[slot.present], this.#length);
    this.close();
    this.#past = Object.fromEntries(caches.map((slot) => [slot.past, results[slot.present] as OnnxValue]));
    return results.logits;
  }
}

function checkPresent({ present, type, heads, headSize }: CacheSlot, value: OnnxValue | undefined, length: number): void {
  const tensor = value as OrtTensor | undefined;
  const wanted = [1, heads, length, headSize];
  if (tensor?.type === type && tensor.dims.length === 4 && wanted.every((size, axis) => tensor.dims[axis] === size)) return;
  const found = tensor === undefined ? 'missing' : `${tensor.type} [${tensor.dims.join(', ')}]`;
  const detail = `its output ${present} is ${found} where ${length} tokens make ${type} [${wanted.join(', ')}]`;
  throw new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
}
