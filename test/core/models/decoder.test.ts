import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readDecoder } from '../../../core/models/decoder.ts';

async function folderWith(files: Record<string, unknown>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-decoder-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  return folder;
}

test('the practice model is a decoder of 6 layers', async () => {
  expect(await readDecoder(join(import.meta.dirname, '../../../resources/models/wordnet-lm'))).toEqual({
    decoder: { layers: 6, keyValueHeads: 6, headSize: 32, maxPositions: 128 },
    stopTokens: [0],
  });
});

test('grouped heads, several stop tokens and the names of older families are understood', async () => {
  const llama = {
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    hidden_size: 2048,
    max_position_embeddings: 131_072,
    eos_token_id: 1,
  };
  expect(
    await readDecoder(await folderWith({ 'config.json': llama, 'generation_config.json': { eos_token_id: [128_001, 128_009] } })),
  ).toEqual({
    decoder: { layers: 16, keyValueHeads: 8, headSize: 64, maxPositions: 131_072 },
    stopTokens: [128_001, 128_009],
  });
  const gpt2 = { n_layer: 12, n_head: 12, n_embd: 768, n_positions: 1024, eos_token_id: 50_256 };
  expect(await readDecoder(await folderWith({ 'config.json': gpt2 }))).toEqual({
    decoder: { layers: 12, keyValueHeads: 12, headSize: 64, maxPositions: 1024 },
    stopTokens: [50_256],
  });
});

test.each<[string, number, number, number, number, number[]]>([
  ['llama-3.2-1b-instruct', 16, 8, 64, 131_072, [128_001, 128_008, 128_009]],
  ['qwen2.5-0.5b-instruct', 24, 2, 64, 32_768, [151_645]],
  ['smollm2-135m', 30, 3, 64, 8192, [0]],
  ['phi-3.5-mini-instruct', 32, 32, 96, 131_072, [32_000]],
  ['gemma-2-9b-it', 42, 8, 256, 8192, [1]],
  ['gemma-3-1b-it', 26, 1, 256, 32_768, [1, 106]],
  ['mistral-nemo-base-2407', 40, 8, 128, 128_000, [2]],
])('the configuration of %s is read', async (name, layers, keyValueHeads, headSize, maxPositions, stopTokens) => {
  const folder = await folderWith({});
  await copyFile(join(import.meta.dirname, `../../fixtures/decoder-configs/${name}.json`), join(folder, 'config.json'));
  expect(await readDecoder(folder)).toEqual({ decoder: { layers, keyValueHeads, headSize, maxPositions }, stopTokens });
});

test('the decoder of a model that sees as well is found in its own part', async () => {
  const text = { num_hidden_layers: 34, num_attention_heads: 8, num_key_value_heads: 4, head_dim: 256, max_position_embeddings: 131_072 };
  const folder = await folderWith({ 'config.json': { model_type: 'gemma3', eos_token_id: [1, 106], text_config: text } });
  expect(await readDecoder(folder)).toEqual({
    decoder: { layers: 34, keyValueHeads: 4, headSize: 256, maxPositions: 131_072 },
    stopTokens: [1, 106],
  });
});

test("onnxruntime-genai's configuration is read where there is no other", async () => {
  const decoder = { filename: 'model.onnx', head_size: 80, hidden_size: 2560, num_attention_heads: 32, num_hidden_layers: 32 };
  const phi2 = { context_length: 2048, eos_token_id: 50_256, type: 'phi', decoder: { ...decoder, num_key_value_heads: 32 } };
  expect(await readDecoder(await folderWith({ 'genai_config.json': { model: phi2 } }))).toEqual({
    decoder: { layers: 32, keyValueHeads: 32, headSize: 80, maxPositions: 2048 },
    stopTokens: [50_256],
  });
  await expect(readDecoder(await folderWith({ 'genai_config.json': { model: { ...phi2, decoder } } }))).rejects.toMatchObject({
    code: 'MODEL_NOT_GENERATIVE',
    params: { detail: 'genai_config.json does not give its keyValueHeads' },
  });
});

test.each<[string, Record<string, unknown>, string]>([
  ['no configuration', {}, 'config.json'],
  ['one that is no JSON', { 'config.json': '{' }, 'not JSON'],
  ['one of something else', { 'config.json': { hidden_size: 768 } }, 'layers'],
  ['heads that do not divide its width', { 'config.json': { n_layer: 1, n_head: 5, n_embd: 768, n_positions: 8 } }, 'headSize'],
  ['a negative count', { 'config.json': { num_hidden_layers: -1 } }, 'num_hidden_layers'],
  ['one larger than 1 MiB', { 'config.json': `"${'x'.repeat(1 << 20)}"` }, '1 MiB'],
])('a folder with %s holds no decoder', async (_what, files, detail) => {
  await expect(readDecoder(await folderWith(files))).rejects.toMatchObject({
    code: 'MODEL_NOT_GENERATIVE',
    params: { detail: expect.stringContaining(detail) },
  });
});
