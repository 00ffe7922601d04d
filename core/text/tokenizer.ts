import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import { type Alphabet, alphabetOf } from './alphabet.ts';
import { invalidTokenizer, type ModelFolder, readTokenizerFiles, tokenText } from './files.ts';
import { createTextStream } from './stream.ts';

const MAX_CHARACTERS = 100_000;
/** Where a model names no length of its own, or one that means none (1e30). */
const MAX_TOKENS = 1_000_000;

const TokenizerFile = z.looseObject({
  model: z.looseObject({ type: z.string() }),
  decoder: z.looseObject({ type: z.string() }).nullable(),
});

/** Text to token ids and back, for one model. */
export interface TextTokenizer {
  /** Positions that the model has. */
  readonly maxTokens: number;
  /** The ids of a prompt, the start token first. @throws TEXT_TOO_LONG where no position would be left for an answer */
  encode(text: string): number[];
  /** The ids of a text that has its special tokens in it already: a conversation in the model's template. @throws TEXT_TOO_LONG */
  encodeRendered(text: string): number[];
  /** Whether an id is one of the model's. */
  knows(id: number): boolean;
  /** The text of some ids, without special tokens. A character that isn't whole yet at the end is left out. */
  decode(ids: readonly number[]): string;
  /** The bytes of text that an id stands for; undefined for special tokens and ids that it doesn't have. */
  bytesOf(id: number): Uint8Array | undefined;
  /** Spaces taken off the start of every text, at most. */
  readonly strippedSpaces: number;
}

/**
 * Reads tokenizer.json and, where it is there, tokenizer_config.json of a model's folder: byte-level BPE, as GPT-2, Llama 3, Qwen and the
 * practice model have it, and SentencePiece's pieces, as Llama 2, Mistral, Phi 3 and Gemma do.
 *
 * A prompt starts with the start token (`bos_token`) unless the configuration says `"add_bos_token": false`: models trained on texts joined
 * by that token know no other beginning.
 * @param folder the model's folder, or where its files lie by their names in it
 * @throws TOKENIZER_INVALID, FILE_UNREADABLE
 */
export async function loadTokenizer(folder: ModelFolder): Promise<TextTokenizer> {
  const invalid = invalidTokenizer(folder);
  const { json, config } = await readTokenizerFiles(folder);
  const file = TokenizerFile.safeParse(json);
  if (!file.success) throw invalid(`tokenizer.json has a malformed ${file.error.issues[0]?.path.join('.')}`);
  const alphabet = alphabetOf(file.data.decoder);
  if (alphabet === undefined) throw invalid(`its decoder is ${file.data.decoder?.type ?? 'missing'}, of a kind that is not known here`);

  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(json, config);
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
  const bos = tokenText(config.bos_token);
  const startToken = bos === undefined || config.add_bos_token === false ? undefined : tokenizer.token_to_id(bos);
  return new AlphabetTokenizer(tokenizer, alphabet, startToken, Math.min(MAX_TOKENS, Math.floor(config.model_max_length ?? MAX_TOKENS)));
}

class AlphabetTokenizer implements TextTokenizer {
  readonly maxTokens: number;
  readonly #tokenizer: Tokenizer;
  readonly #alphabet: Alphabet;
  readonly #startToken: number | undefined;

  constructor(tokenizer: Tokenizer, alphabet: Alphabet, startToken: number | undefined, maxTokens: number) {
    this.#tokenizer = tokenizer;
    this.#alphabet = alphabet;
    this.#startToken = startToken;
    this.maxTokens = maxTokens;
  }

  encode(text: string): number[] {
    requireShortText(text);
    const { ids } = this.#tokenizer.encode(text);
    if (this.#startToken !== undefined && ids[0] !== this.#startToken) ids.unshift(this.#startToken);
    return this.#withRoom(ids);
  }

  encodeRendered(text: string): number[] {
    requireShortText(text);
    return this.#withRoom(this.#tokenizer.encode(text, { add_special_tokens: false }).ids);
  }

  knows(id: number): boolean {
    return this.#tokenizer.id_to_token(id) !== undefined;
  }

  #withRoom(ids: number[]): number[] {
    if (ids.length >= this.maxTokens)
      throw new HearthlendError('TEXT_TOO_LONG', { length: ids.length, limit: this.maxTokens - 1, unit: 'tokens' });
    return ids;
  }

  decode(ids: readonly number[]): string {
    const stream = createTextStream(this);
    return ids.map((id) => stream.push(id)).join('');
  }

  get strippedSpaces(): number {
    return this.#alphabet.strippedSpaces;
  }

  bytesOf(id: number): Uint8Array | undefined {
    if (this.#tokenizer.get_added_tokens_decoder().get(id)?.special === true) return undefined;
    const token = this.#tokenizer.id_to_token(id);
    return token === undefined ? undefined : this.#alphabet.bytesOf(token);
  }
}

/** @throws TEXT_TOO_LONG before a text of any length is worked on */
export function requireShortText(text: string): void {
  if (text.length > MAX_CHARACTERS)
    throw new HearthlendError('TEXT_TOO_LONG', { length: text.length, limit: MAX_CHARACTERS, unit: 'characters' });
}
