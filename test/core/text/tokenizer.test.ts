import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createTextStream } from '../../../core/text/stream.ts';
import { loadTokenizer } from '../../../core/text/tokenizer.ts';

const folder = join(import.meta.dirname, '../../../resources/models/wordnet-lm');
const recorded: Array<{ text: string; ids: number[] }> = JSON.parse(
  await readFile(join(import.meta.dirname, '../../fixtures/text/wordnet-lm.json'), 'utf8'),
);
const tokenizer = await loadTokenizer(folder);

test('texts get the ids of the encoder that the practice model was trained with, after the start token', () => {
  for (const { text, ids } of recorded) expect([text, tokenizer.encode(text)]).toEqual([text, [0, ...ids]]);
});

test('decoding gives the text back, without special tokens', () => {
  for (const { text, ids } of recorded) expect(tokenizer.decode([0, ...ids, 0])).toBe(text);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), (text) => {
      fc.pre(!text.includes('<|endoftext|>'));
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text.toWellFormed());
    }),
  );
});

test('a stream gives each character when its last byte has come, and never a replacement for one that is not whole', () => {
  const text = 'naïve 😀 寸法 – "ok"';
  const stream = createTextStream(tokenizer);
  const parts = tokenizer.encode(text).map((id) => stream.push(id));
  expect(parts.join('')).toBe(text);
  expect(parts.filter((part) => part.includes('\ufffd'))).toEqual([]);
  // The last byte of the last character is missing: nothing stands in for it.
  const cut = tokenizer.encode('a寸').slice(0, -1);
  expect(tokenizer.decode(cut)).toBe('a');
});

test('streamed text adds up to what the library decodes, for any tokens, but for a character cut off at the end', async () => {
  const library = new Tokenizer(
    JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8')),
    JSON.parse(await readFile(join(folder, 'tokenizer_config.json'), 'utf8')),
  );
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2047 }), { maxLength: 40 }), (ids) => {
      // A full stop ends every unfinished character, which the library would replace at the end.
      const whole = [...ids, library.token_to_id('.') as number];
      const stream = createTextStream(tokenizer);
      expect(whole.map((id) => stream.push(id)).join('')).toBe(library.decode(whole, { skip_special_tokens: true }));
    }),
    { numRuns: 500 },
  );
});

test('ids that the tokenizer does not have add no text', () => {
  expect(tokenizer.decode([98, 2048, 1e9, 99])).toBe('ab');
});

test('a prompt that leaves no room for an answer is refused with its length', () => {
  expect(tokenizer.maxTokens).toBe(128);
  expect(tokenizer.encode('x'.repeat(126))).toHaveLength(127);
  expect(() => tokenizer.encode('x'.repeat(127))).toThrow(
    expect.objectContaining({ code: 'TEXT_TOO_LONG', params: { length: 128, limit: 127, unit: 'tokens' } }),
  );
  expect(() => tokenizer.encode('x'.repeat(100_001))).toThrow(
    expect.objectContaining({ code: 'TEXT_TOO_LONG', params: { length: 100_001, limit: 100_000, unit: 'characters' } }),
  );
});

test.each<[string, Record<string, string>, string]>([
  ['nothing in it', {}, 'no tokenizer.json'],
  ['a broken file', { 'tokenizer.json': '{' }, 'not JSON'],
  ['a list', { 'tokenizer.json': 'null' }, 'no JSON object'],
  ['another kind of file', { 'tokenizer.json': '{}' }, 'malformed model'],
  ['another decoder', { 'tokenizer.json': '{"model":{"type":"BPE"},"decoder":{"type":"WordPiece"}}' }, 'WordPiece'],
  ['a model without its parts', { 'tokenizer.json': '{"model":{"type":"BPE"},"decoder":{"type":"ByteLevel"}}' }, ''],
])('a folder with %s is refused as TOKENIZER_INVALID', async (_what, files, detail) => {
  const broken = await mkdtemp(join(tmpdir(), 'hearthlend-tokenizer-'));
  onTestFinished(() => rm(broken, { recursive: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(broken, name), content);
  await expect(loadTokenizer(broken)).rejects.toMatchObject({
    code: 'TOKENIZER_INVALID',
    params: { path: broken, detail: expect.stringContaining(detail) },
  });
});
