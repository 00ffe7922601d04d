import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import { DecoderConfig } from '../contract/model.ts';

const MAX_CONFIG_BYTES = 1 << 20;
const count = z.int().min(1).optional();
const tokens = z
  .union([z.int().min(0), z.array(z.int().min(0)).max(64)])
  .nullish()
  .transform((ids) => (ids == null ? undefined : typeof ids === 'number' ? [ids] : ids));

/** The names that model families give to the same facts. Source: attribute_map of the configurations in huggingface/transformers. */
const Config = z.object({
  num_hidden_layers: count,
  n_layer: count,
  num_layers: count,
  num_attention_heads: count,
  n_head: count,
  num_key_value_heads: count.nullable(),
  hidden_size: count,
  n_embd: count,
  head_dim: count.nullable(),
  max_position_embeddings: count,
  n_positions: count,
  eos_token_id: tokens,
});
/** A model that also sees or hears has its decoder's facts in a part of their own. */
const NestedConfig = z.object({ text_config: Config.optional(), eos_token_id: tokens });
const GenerationConfig = z.object({ eos_token_id: tokens });
/** onnxruntime-genai's own configuration. Source: docs/genai/reference/config.md in github.com/microsoft/onnxruntime. */
const GenaiConfig = z.object({
  model: z.object({
    context_length: count,
    eos_token_id: tokens,
    decoder: z.object({ num_hidden_layers: count, num_key_value_heads: count, head_size: count }),
  }),
});

/** What the decoder in a model's folder needs to be told, and the ids at which its text ends. */
export interface DecoderFacts {
  decoder: DecoderConfig;
  stopTokens: number[];
}

/**
 * Reads config.json, and generation_config.json where it is there: its stop tokens take precedence, as in transformers. Where there is no
 * config.json, genai_config.json, which onnxruntime-genai's model builder writes, has the same facts. Rotary scaling and
 * sliding windows are in the graph itself: its tables are computed with the one, its attention bounded by the other.
 * @param folder the model's folder, or where its files lie by their names in it
 * @throws MODEL_NOT_GENERATIVE, FILE_UNREADABLE
 */
export async function readDecoder(folder: string | ReadonlyMap<string, string>): Promise<DecoderFacts> {
  const text = await readConfig(folder, 'config.json');
  if (text === undefined) return readGenai(folder);
  const nested = parse(NestedConfig, text, 'config.json');
  const config = nested.text_config ?? parse(Config, text, 'config.json');
  const generationText = await readConfig(folder, 'generation_config.json');
  const generation: z.infer<typeof GenerationConfig> | undefined =
    generationText === undefined ? undefined : parse(GenerationConfig, generationText, 'generation_config.json');

  const heads = config.num_attention_heads ?? config.n_head;
  const hiddenSize = config.hidden_size ?? config.n_embd;
  const decoder = DecoderConfig.safeParse({
    layers: config.num_hidden_layers ?? config.n_layer ?? config.num_layers,
    keyValueHeads: config.num_key_value_heads ?? heads,
    headSize: config.head_dim ?? (heads !== undefined && hiddenSize !== undefined ? hiddenSize / heads : undefined),
    maxPositions: config.max_position_embeddings ?? config.n_positions,
  });
  if (!decoder.success) throw notGenerative(`config.json does not give its ${decoder.error.issues[0]?.path.join('.')}`);
  return { decoder: decoder.data, stopTokens: generation?.eos_token_id ?? nested.eos_token_id ?? config.eos_token_id ?? [] };
}

async function readGenai(folder: string | ReadonlyMap<string, string>): Promise<DecoderFacts> {
  const text = await readConfig(folder, 'genai_config.json');
  if (text === undefined) throw notGenerative('its folder has no config.json');
  const { model } = parse(GenaiConfig, text, 'genai_config.json');
  const decoder = DecoderConfig.safeParse({
    layers: model.decoder.num_hidden_layers,
    keyValueHeads: model.decoder.num_key_value_heads,
    headSize: model.decoder.head_size,
    maxPositions: model.context_length,
  });
  if (!decoder.success) throw notGenerative(`genai_config.json does not give its ${decoder.error.issues[0]?.path.join('.')}`);
  return { decoder: decoder.data, stopTokens: model.eos_token_id ?? [] };
}

async function readConfig(folder: string | ReadonlyMap<string, string>, name: string): Promise<string | undefined> {
  const path = typeof folder === 'string' ? join(folder, name) : folder.get(name);
  if (path === undefined) return undefined;
  try {
    if ((await stat(path)).size > MAX_CONFIG_BYTES) throw notGenerative(`${name} is larger than 1 MiB`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}

function parse<T>(schema: z.ZodType<T>, text: string, name: string): T {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    throw notGenerative(`${name} has a malformed ${parsed.error.issues[0]?.path.join('.')}`);
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw notGenerative(`${name} is not JSON`);
  }
}

function notGenerative(detail: string): HearthlendError {
  return new HearthlendError('MODEL_NOT_GENERATIVE', { detail });
}
