import { decodeSafetensors } from '../contract/safetensors.ts';
import type { Shard } from '../contract/shard.ts';
import type { CurrentShard } from '../contract/snapshot.ts';

/** Text of a model's tokens, as far as this machine has its tokenizer. */
export interface ModelText {
  decode(tokens: readonly number[]): string;
  /** Gives the new text that each further token completes; '' while a character is not whole. */
  stream(): (token: number) => string;
}

/** The shard being computed, as the screen shows it: text for practice and the owner's own work only. */
export class CurrentView {
  readonly #textOf: (shard: Shard) => ModelText | null;
  #current: CurrentShard | null = null;
  #push: ((token: number) => string) | null = null;

  constructor(textOf: (shard: Shard) => ModelText | null) {
    this.#textOf = textOf;
  }

  get current(): CurrentShard | null {
    return this.#current;
  }

  start(shard: Shard, attempt: number, inputs: Uint8Array, startedAt: number): CurrentShard {
    const text = shard.kind === 'onnx.generate' && shard.origin !== 'network' ? this.#textOf(shard) : null;
    this.#push = text?.stream() ?? null;
    this.#current = {
      shardId: shard.id,
      attempt,
      network: shard.network,
      origin: shard.origin,
      kind: shard.kind,
      startedAt,
      prompt: text === null ? null : promptOf(text, inputs),
      text: text === null ? null : '',
      tokens: 0,
      maxNewTokens: shard.kind === 'onnx.generate' ? shard.maxNewTokens : null,
    };
    return this.#current;
  }

  /** Takes a token in and gives the text that it completes, '' for none. */
  token(token: number): string {
    if (this.#current === null) return '';
    const piece = this.#push?.(token) ?? '';
    const { text, tokens } = this.#current;
    this.#current = { ...this.#current, tokens: tokens + 1, text: text === null ? null : text + piece };
    return piece;
  }

  end(): void {
    this.#current = null;
    this.#push = null;
  }
}

/** The prompt's words, without the start token that every prompt begins with. */
function promptOf(text: ModelText, inputs: Uint8Array): string | null {
  const ids = decodeSafetensors(inputs).get('input_ids');
  if (ids === undefined || ids.type !== 'int64') return null;
  const view = new DataView(ids.data.buffer, ids.data.byteOffset, ids.data.byteLength);
  const tokens = Array.from({ length: ids.data.byteLength / 8 }, (_, index) => Number(view.getBigInt64(index * 8, true)));
  return text.decode(tokens[0] === 0 ? tokens.slice(1) : tokens);
}
