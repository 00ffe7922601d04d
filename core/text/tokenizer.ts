import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import { type Alphabet, alphabetOf } from './alphabet.ts';
import { createTextStream } from './stream.ts';

const MAX_TOKENIZER_BYTES = 64 << 20;
const MAX_CONFIG_BYTES = 1 << 20;
const MAX_CHARACTERS = 100_000;
/** Where a model names no length of its own, or one that means none (1e30). */
const MAX_TOKENS = 1_000_000;

const TokenizerFile = z.looseObject({
  model: z.looseObject({ type: z.string() }),
  decoder: z.looseObject({ type: z.string() }).nullable(),
});
const TokenContent = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const TokenizerConfig = z.looseObject({
  bos_token: TokenContent,
  add_bos_token: z.boolean().optional(),
  model_max_length: z.number().positive().optional(),
});

/** Text to token ids and back, for one model. */
export interface TextTokenizer {
  /** Positions that the model has. */
  readonly maxTokens: number;
  /** The ids of a prompt, the start token first. @throws TEXT_TOO_LONG where no position would be left for an answer */
  encode(text: string): number[];
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
export async function loadTokenizer(folder: string | ReadonlyMap<string, string>): Promise<TextTokenizer> {
  const pathOf = (name: string) => (typeof folder === 'string' ? join(folder, name) : folder.get(name));
  const shown = typeof folder === 'string' ? folder : (pathOf('tokenizer.json') ?? 'tokenizer.json');
  const invalid = (detail: string, cause?: unknown) => new HearthlendError('TOKENIZER_INVALID', { path: shown, detail }, { cause });
  const json = await readJson(pathOf('tokenizer.json'), MAX_TOKENIZER_BYTES, invalid);
  const configJson = (await readJson(pathOf('tokenizer_config.json'), MAX_CONFIG_BYTES, invalid)) ?? {};
  if (json === undefined) throw invalid('it has no tokenizer.json');
  const file = TokenizerFile.safeParse(json);
  const config = TokenizerConfig.safeParse(configJson);
  if (!file.success) throw invalid(`tokenizer.json has a malformed ${file.error.issues[0]?.path.join('.')}`);
  if (!config.success) throw invalid(`tokenizer_config.json has a malformed ${config.error.issues[0]?.path.join('.')}`);
  const alphabet = alphabetOf(file.data.decoder);
  if (alphabet === undefined) throw invalid(`its decoder is ${file.data.decoder?.type ?? 'missing'}, of a kind that is not known here`);

  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(json, configJson);
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
  const { bos_token: bos, add_bos_token: addBos } = config.data;
  const startToken = bos == null || addBos === false ? undefined : tokenizer.token_to_id(typeof bos === 'string' ? bos : bos.content);
  return new AlphabetTokenizer(
    tokenizer,
    alphabet,
    startToken,
    Math.min(MAX_TOKENS, Math.floor(config.data.model_max_length ?? MAX_TOKENS)),
  );
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
    if (text.length > MAX_CHARACTERS)
      throw new HearthlendError('TEXT_TOO_LONG', { length: text.length, limit: MAX_CHARACTERS, unit: 'characters' });
    const { ids } = this.#tokenizer.encode(text);
    if (this.#startToken !== undefined && ids[0] !== this.#startToken) ids.unshift(this.#startToken);
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

async function readJson(
  path: string | undefined,
  maxBytes: number,
  invalid: (detail: string, cause?: unknown) => Error,
): Promise<object | undefined> {
  if (path === undefined) return undefined;
  let text: string;
  try {
    if ((await stat(path)).size > maxBytes) throw invalid(`a file of it is larger than ${maxBytes} bytes`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json;
  } catch (cause) {
    throw invalid('a file of it is not JSON', cause);
  }
  throw invalid('a file of it is no JSON object');
}
