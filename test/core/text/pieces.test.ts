import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { createTextStream } from '../../../core/text/stream.ts';
import { loadTokenizer } from '../../../core/text/tokenizer.ts';

const replace = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
/** The decoders of Llama 2, Phi 3 and Mistral, of Gemma, and of older conversions. */
const llama = { type: 'Sequence', decoders: [replace, { type: 'ByteFallback' }, { type: 'Fuse' }, strip] };
const gemma = { type: 'Sequence', decoders: [replace, { type: 'ByteFallback' }, { type: 'Fuse' }] };

const special = ['<unk>', '<s>', '</s>'];
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
const letters = ['▁', ...'abcdefghijklmnopqrstuvwxyz.,!é'];
const pieces = [...special, ...bytes, ...letters, '▁t', '▁th', '▁the', 'in', 'ing'];
const merges = ['▁ t', '▁t h', '▁th e', 'i n', 'in g'];

/** A tokenizer of SentencePiece's kind with bytes to fall back on. */
function tokenizerJson(decoder: object) {
  const prepend = decoder === gemma ? [] : [{ type: 'Prepend', prepend: '▁' }];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: 'Sequence', normalizers: [...prepend, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges,
    },
  };
}

const config = { bos_token: '<s>', add_bos_token: true, clean_up_tokenization_spaces: false };

async function load(decoder: object) {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-pieces-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson(decoder)));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return { tokenizer: await loadTokenizer(folder), library: new Tokenizer(tokenizerJson(decoder), config) };
}

test.each([
  ['Llama 2, Phi 3 and Mistral', llama],
  ['Gemma', gemma],
])('pieces as in %s give the text back, by bytes where there is no piece for it', async (_family, decoder) => {
  const { tokenizer } = await load(decoder);
  for (const text of ['the thing', 'in the end!', 'naïve 😀 寸法', ' two  spaces ']) {
    const ids = tokenizer.encode(text);
    expect(ids[0]).toBe(1);
    expect(tokenizer.decode(ids)).toBe(text);
  }
  const stream = createTextStream(tokenizer);
  const parts = tokenizer.encode('😀 the').map((id) => stream.push(id));
  expect(parts.join('')).toBe('😀 the');
  expect(parts.filter((part) => part.includes('\ufffd'))).toEqual([]);
});

test.each([
  ['with a space taken off the front', llama],
  ['with none taken off', gemma],
])('streamed pieces %s add up to what the library decodes', async (_kind, decoder) => {
  const { tokenizer, library } = await load(decoder);
  const piece = fc.integer({ min: special.length + bytes.length, max: pieces.length - 1 });
  // Bytes that make a character: what the library does with others is its own.
  const character = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 1 })
    .map((text) => [...Buffer.from(text)].map((byte) => special.length + byte));
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          piece.map((id) => [id]),
          character,
        ),
        { maxLength: 30 },
      ),
      (groups) => {
        const ids = groups.flat();
        const stream = createTextStream(tokenizer);
        expect(ids.map((id) => stream.push(id)).join('')).toBe(ids.length === 0 ? '' : library.decode(ids, { skip_special_tokens: true }));
      },
    ),
    { numRuns: 300 },
  );
});

test('a decoder of another kind is refused by name', async () => {
  await expect(load({ type: 'WordPiece', prefix: '##', cleanup: true })).rejects.toMatchObject({
    code: 'TOKENIZER_INVALID',
    params: { detail: expect.stringContaining('WordPiece') },
  });
});
