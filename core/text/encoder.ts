import { Tokenizer } from '@huggingface/tokenizers';
import { HearthlendError } from '../contract/errors.ts';
import { invalidTokenizer, type ModelFolder, readTokenizerFiles } from './files.ts';
import { requireShortText } from './tokenizer.ts';

/** Where a model names no length of its own: what encoders of text were made for, first by BERT. */
const USUAL_MAX_TOKENS = 512;

/** Text to ids for a model that only reads: of any kind that the library knows, since nothing has to be turned back into text. */
export interface TextIds {
  maxTokens: number;
  /** With the special tokens that its configuration puts around a text. @throws TEXT_TOO_LONG */
  encode(text: string): number[];
}

/** @throws TOKENIZER_INVALID, FILE_UNREADABLE */
export async function loadEncoder(folder: ModelFolder): Promise<TextIds> {
  const { json, config } = await readTokenizerFiles(folder);
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(json, config);
  } catch (cause) {
    throw invalidTokenizer(folder)((cause as Error).message, cause);
  }
  const named = config.model_max_length ?? USUAL_MAX_TOKENS;
  const maxTokens = named > 1_000_000 ? USUAL_MAX_TOKENS : Math.floor(named);
  return {
    maxTokens,
    encode(text) {
      requireShortText(text);
      const { ids } = tokenizer.encode(text);
      if (ids.length > maxTokens) throw new HearthlendError('TEXT_TOO_LONG', { length: ids.length, limit: maxTokens, unit: 'tokens' });
      return ids;
    },
  };
}
