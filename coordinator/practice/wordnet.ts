import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { LocalModel, PracticeSource, PracticeTask } from '../../core/contract/jobs.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import { DEFINITIONS } from './definitions.ts';
import { WORDS } from './words.ts';

/** Begins every entry, and ends it. */
const END_OF_TEXT = 0;
/** Long enough for most glosses; the stop token usually comes first. */
const MAX_NEW_TOKENS = 64;
/** A batch of definitions to score: 3 × 16 × 2048 logits are 393 KB, small enough to be handed in often. */
const BATCH = 3;
const BATCH_TOKENS = 16;

/** The WordNet model as it lies on this machine: resources/models/wordnet-lm. `folder` has its tokenizer. */
export interface WordnetModel {
  folder: string;
  model: LocalModel;
  decoder: DecoderConfig;
  stopTokens: number[];
}

/**
 * Practice on the WordNet model: three prompts to continue, then a batch of definitions to score, and so on. A task's number decides all of it.
 * @throws FILE_UNREADABLE
 */
export async function loadWordnetPractice({ folder, model, decoder, stopTokens }: WordnetModel): Promise<PracticeSource> {
  const tokenizer = await readTokenizer(folder);
  return {
    model,
    decoder,
    stopTokens,
    task(number) {
      if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`tasks are numbered from 0, not ${number}`);
      return number % 4 === 3 ? scoring(tokenizer, decoder, number) : continuation(tokenizer, number);
    },
  };
}

function continuation(tokenizer: Tokenizer, number: number): PracticeTask {
  const seed = createHash('sha256').update(`practice ${number}`).digest();
  // The words in a shuffled order, each once before one comes again: 89 shares no factor with their number.
  const [word, partOfSpeech] = WORDS[(number * 89) % WORDS.length] as readonly [string, string];
  const ids = [END_OF_TEXT, ...tokenizer.encode(`${word} (${partOfSpeech}):`).ids];
  const inputs = encodeSafetensors(new Map([['input_ids', int64([1, ids.length], ids)]]));
  const sampling: Extract<PracticeTask, { kind: 'onnx.generate' }>['sampling'] =
    number % 8 === 0
      ? { method: 'greedy' }
      : { method: 'sample', seed: seed.toString('hex', 0, 8), temperature: 0.6 + (number % 5) / 10, topK: 40, topP: 0.95 };
  return { kind: 'onnx.generate', inputs, maxNewTokens: MAX_NEW_TOKENS, sampling };
}

function scoring(tokenizer: Tokenizer, decoder: DecoderConfig, number: number): PracticeTask {
  const ids: number[] = [];
  const mask: number[] = [];
  for (let row = 0; row < BATCH; row += 1) {
    // 31 shares no factor with the number of definitions.
    const text = DEFINITIONS[((number * BATCH + row) * 31) % DEFINITIONS.length] as string;
    const tokens = [END_OF_TEXT, ...tokenizer.encode(text).ids].slice(0, BATCH_TOKENS);
    for (let column = 0; column < BATCH_TOKENS; column += 1) {
      ids.push(tokens[column] ?? END_OF_TEXT);
      mask.push(column < tokens.length ? 1 : 0);
    }
  }
  const shape = [BATCH, BATCH_TOKENS];
  const positions = ids.map((_, index) => index % BATCH_TOKENS);
  const tensors: Tensors = new Map([
    ['input_ids', int64(shape, ids)],
    ['attention_mask', int64(shape, mask)],
    ['position_ids', int64(shape, positions)],
  ]);
  const noPast: Tensor = { type: 'float32', shape: [BATCH, decoder.keyValueHeads, 0, decoder.headSize], data: new Uint8Array(0) };
  for (let layer = 0; layer < decoder.layers; layer += 1) {
    tensors.set(`past_key_values.${layer}.key`, noPast);
    tensors.set(`past_key_values.${layer}.value`, noPast);
  }
  return { kind: 'onnx.run', inputs: encodeSafetensors(tensors), outputs: ['logits'] };
}

function int64(shape: number[], values: readonly number[]): Tensor {
  const data = new Uint8Array(values.length * 8);
  const view = new DataView(data.buffer);
  values.forEach((value, index) => {
    view.setBigInt64(index * 8, BigInt(value), true);
  });
  return { type: 'int64', shape, data };
}

async function readTokenizer(dir: string): Promise<Tokenizer> {
  const [tokenizer, config] = await Promise.all(['tokenizer.json', 'tokenizer_config.json'].map((name) => readJson(join(dir, name))));
  return new Tokenizer(tokenizer as object, config as object);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (thrown) {
    throw unreadable(path, thrown);
  }
}

function unreadable(path: string, thrown: unknown): HearthlendError {
  return new HearthlendError(
    'FILE_UNREADABLE',
    { path, detail: thrown instanceof Error ? thrown.message : String(thrown) },
    { cause: thrown },
  );
}
