import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';

const MAX_TOKENIZER_BYTES = 64 << 20;
const MAX_CONFIG_BYTES = 1 << 20;

/** A model's folder, or where its files lie by their names in it. */
export type ModelFolder = string | ReadonlyMap<string, string>;

const TokenContent = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const TokenizerConfig = z.looseObject({
  bos_token: TokenContent,
  eos_token: TokenContent,
  pad_token: TokenContent,
  unk_token: TokenContent,
  add_bos_token: z.boolean().optional(),
  model_max_length: z.number().positive().optional(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() })).max(64)]).nullish(),
});
export type TokenizerConfig = z.infer<typeof TokenizerConfig>;

/** The text of a special token; undefined where there is none. */
export function tokenText(token: z.infer<typeof TokenContent>): string | undefined {
  return token == null ? undefined : typeof token === 'string' ? token : token.content;
}

/** What is wrong with a model's words, by the file that they are read from. */
export function invalidTokenizer(folder: ModelFolder): (detail: string, cause?: unknown) => HearthlendError {
  const path = typeof folder === 'string' ? folder : (folder.get('tokenizer.json') ?? 'tokenizer.json');
  return (detail, cause) => new HearthlendError('TOKENIZER_INVALID', { path, detail }, { cause });
}

/** tokenizer.json and, where it is there, tokenizer_config.json. @throws TOKENIZER_INVALID, FILE_UNREADABLE */
export async function readTokenizerFiles(folder: ModelFolder): Promise<{ json: object; config: TokenizerConfig }> {
  const invalid = invalidTokenizer(folder);
  const json = await readJson(folder, 'tokenizer.json', MAX_TOKENIZER_BYTES);
  const config = TokenizerConfig.safeParse((await readJson(folder, 'tokenizer_config.json', MAX_CONFIG_BYTES)) ?? {});
  if (json === undefined) throw invalid('it has no tokenizer.json');
  if (!config.success) throw invalid(`tokenizer_config.json has a malformed ${config.error.issues[0]?.path.join('.')}`);
  return { json, config: config.data };
}

/** A JSON object of a model's folder; undefined where there is no such file. @throws TOKENIZER_INVALID, FILE_UNREADABLE */
export async function readJson(folder: ModelFolder, name: string, maxBytes = MAX_CONFIG_BYTES): Promise<object | undefined> {
  const text = await readText(folder, name, maxBytes);
  if (text === undefined) return undefined;
  const invalid = invalidTokenizer(folder);
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json;
  } catch (cause) {
    throw invalid('a file of it is not JSON', cause);
  }
  throw invalid('a file of it is no JSON object');
}

/** @throws TOKENIZER_INVALID, FILE_UNREADABLE */
export async function readText(folder: ModelFolder, name: string, maxBytes = MAX_CONFIG_BYTES): Promise<string | undefined> {
  const path = typeof folder === 'string' ? join(folder, name) : folder.get(name);
  if (path === undefined) return undefined;
  try {
    if ((await stat(path)).size > maxBytes) throw invalidTokenizer(folder)(`a file of it is larger than ${maxBytes} bytes`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}
