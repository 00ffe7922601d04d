import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTokenizer } from '../../core/text/tokenizer.ts';
import { SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';
import { openPlain, plainLoop } from '../fixtures/decoder/plain-loop.ts';
import { model, node, tensor, value } from '../fixtures/onnx-writer.ts';
import { allFiles, type Command, hearthlend, run, START, temporaryFolder } from './program.ts';

const messages = [
  { role: 'system' as const, content: 'Be brief.' },
  { role: 'user' as const, content: 'Once upon a time' },
];
const TEMPLATE = '{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}<assistant>';
const RENDERED = '<system>Be brief.\n<user>Once upon a time\n<assistant>';
const TOKENS = 24;

let dataDir = '';
let agent: Command;
let client: OpenAI;
let secret = '';
let talker = '';

beforeAll(async () => {
  dataDir = temporaryFolder('openai');
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, requests: { port: 0 } };
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  talker = join(temporaryFolder('talker'), 'talker');
  makeDecoder(talker, SMALL);
  const config = join(talker, 'tokenizer_config.json');
  writeFileSync(config, JSON.stringify({ ...(JSON.parse(readFileSync(config, 'utf8')) as object), chat_template: TEMPLATE }));
  for (const folder of [talker, encoderFolder()]) expect((await run(dataDir, 'model', 'add', folder, '--yes')).code).toBe(0);
  agent = hearthlend(dataDir, ...START);
  await agent.event('started');
  const { last } = await run(dataDir, 'key', 'create', '--name', 'a test');
  secret = last.secret as string;
  client = new OpenAI({ apiKey: secret, baseURL: last.address as string, maxRetries: 0 });
});
afterAll(() => agent?.kill());

/** A model whose tokens' vectors are their ids and ones, with its pooling: what a text's vector is can be said by heart. */
function encoderFolder(): string {
  const folder = join(temporaryFolder('reader'), 'reader');
  mkdirSync(join(folder, '1_Pooling'), { recursive: true });
  const ids = (name: string) => value(name, 'int64', ['batch', 'sequence']);
  const bytes = model({
    nodes: [
      node('Cast', ['input_ids'], ['floats'], { to: 1 }),
      node('Cast', ['attention_mask'], ['ones'], { to: 1 }),
      node('Unsqueeze', ['floats', 'last'], ['x']),
      node('Unsqueeze', ['ones', 'last'], ['y']),
      node('Concat', ['x', 'y'], ['last_hidden_state'], { axis: 2 }),
    ],
    inputs: [ids('input_ids'), ids('attention_mask')],
    outputs: [value('last_hidden_state', 'float32', ['batch', 'sequence', 2])],
    constants: [tensor('last', 'int64', [1], BigInt64Array.of(-1n))],
  });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  for (const name of ['tokenizer.json', 'tokenizer_config.json']) writeFileSync(join(folder, name), readFileSync(join(talker, name)));
  writeFileSync(join(folder, '1_Pooling/config.json'), JSON.stringify({ pooling_mode_mean_tokens: true }));
  return folder;
}

/** What plain ONNX Runtime makes of a prompt, as text and as a number of tokens. */
async function plainAnswer(ids: readonly number[]): Promise<{ text: string; tokens: number }> {
  const tokenizer = await loadTokenizer(talker);
  const session = await openPlain(join(talker, 'onnx/model.onnx'), 1);
  const made = await plainLoop(session, ids, TOKENS);
  await session.release();
  const end = made.indexOf(0);
  const kept = end < 0 ? made : made.slice(0, end);
  return { text: tokenizer.decode(kept), tokens: end < 0 ? made.length : end + 1 };
}

test('the models that were added, and the practice model, answer under their names', async () => {
  expect((await client.models.list()).data.map(({ id }) => id).sort()).toEqual(['reader', 'talker', 'wordnet-lm']);
});

test('a conversation is answered as plain ONNX Runtime would in the model’s own template, whole and as it is made', async () => {
  const ids = (await loadTokenizer(talker)).encodeRendered(RENDERED);
  const expected = await plainAnswer(ids);
  const asked = { model: 'talker', messages, max_completion_tokens: TOKENS, temperature: 0 };
  const whole = await client.chat.completions.create(asked);
  expect(whole.choices[0]?.message.content).toBe(expected.text);
  expect(whole.usage).toEqual({
    prompt_tokens: ids.length,
    completion_tokens: expected.tokens,
    total_tokens: ids.length + expected.tokens,
  });
  let text = '';
  for await (const { choices } of await client.chat.completions.create({ ...asked, stream: true })) text += choices[0]?.delta.content ?? '';
  expect(text).toBe(expected.text);
});

test('a prompt is gone on with, and ends where it is told to', async () => {
  const { text } = await plainAnswer((await loadTokenizer(talker)).encode('Once'));
  const stop = text.slice(4, 6);
  const { choices } = await client.completions.create({ model: 'talker', prompt: 'Once', max_tokens: TOKENS, temperature: 0, stop });
  expect(choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finish_reason: 'stop' });
});

test('who goes away takes the job along; a model without a template or without embeddings says so', async () => {
  const abort = new AbortController();
  const stream = await client.chat.completions.create({ model: 'talker', messages, seed: 5, stream: true }, { signal: abort.signal });
  let id = '';
  for await (const chunk of stream) {
    ({ id } = chunk);
    if (chunk.choices[0]?.delta.content) abort.abort();
  }
  const state = async () => (await run(dataDir, 'job', 'show', id)).last.state;
  await expect.poll(state, { timeout: 60_000 }).toMatch(/^(cancelled|done)$/);
  await expect(client.chat.completions.create({ model: 'wordnet-lm', messages })).rejects.toMatchObject({ code: 'CHAT_TEMPLATE_MISSING' });
  await expect(client.embeddings.create({ model: 'talker', input: 'x' })).rejects.toMatchObject({ code: 'MODEL_NO_EMBEDDING' });
});

test('texts become vectors by the model’s own pooling', async () => {
  const { data } = await client.embeddings.create({ model: 'reader', input: [[10, 20, 30], [7]] });
  expect([...(data[0]?.embedding ?? [])]).toEqual([20, 1]);
  expect([...(data[1]?.embedding ?? [])]).toEqual([7, 1]);
  expect((await client.embeddings.create({ model: 'reader', input: 'Once' })).data[0]?.embedding).toHaveLength(2);
});

test('without keys nobody listens, and a key’s secret is in no file of the agent', async () => {
  // What is on its way to being accepted comes and goes.
  const files = allFiles(dataDir).filter((path) => !path.includes('spool'));
  for (const path of files) expect(readFileSync(path).includes(secret), path).toBe(false);
  const { last } = await run(dataDir, 'key', 'list');
  expect(last).toMatchObject({ name: 'a test' });
  expect((await run(dataDir, 'key', 'remove', 'a test')).code).toBe(0);
  await expect(client.models.list()).rejects.toBeInstanceOf(OpenAI.APIConnectionError);
  expect((await run(dataDir, 'key', 'remove', 'a test')).last).toMatchObject({ code: 'API_KEY_UNKNOWN' });
});
