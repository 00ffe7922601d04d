import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createTextStream } from '../../core/text/stream.ts';
import { loadTokenizer } from '../../core/text/tokenizer.ts';
import { type DecoderShape, SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';
import { openPlain, plainLoop } from '../fixtures/decoder/plain-loop.ts';
import { hearthlend, run, runForPeople, temporaryFolder } from './program.ts';

const text = 'Once upon a time';
const TOKENS = 40;

function decoderFolder(shape: Partial<DecoderShape> = {}): string {
  const folder = temporaryFolder('decoder');
  makeDecoder(folder, { ...SMALL, ...shape });
  return folder;
}

/** What a plain onnxruntime-node loop makes of the text. */
async function plainAnswer(folder: string): Promise<string> {
  const tokenizer = await loadTokenizer(folder);
  const session = await openPlain(join(folder, 'onnx/model.onnx'), 1);
  const tokens = await plainLoop(session, tokenizer.encode(text), TOKENS);
  await session.release();
  const end = tokens.indexOf(0);
  const stream = createTextStream(tokenizer);
  return (end < 0 ? tokens : tokens.slice(0, end)).map((token) => stream.push(token)).join('');
}

test('a decoder in its folder answers a prompt as plain ONNX Runtime would, piece by piece', async () => {
  const folder = decoderFolder({ element: 'float16' });
  const expected = await plainAnswer(folder);
  const dataDir = temporaryFolder('prompt');
  const told = await run(dataDir, 'prompt', '--model', folder, '--max-tokens', String(TOKENS), text);
  expect(told).toMatchObject({ code: 0, last: { event: 'prompt.text', text: expected, done: true, error: null } });
  const pieces = told.lines.filter(({ event }) => event === 'prompt.text').map((line) => line.text as string);
  expect(pieces.length).toBeGreaterThan(5);
  for (const [at, piece] of pieces.entries()) expect(piece.startsWith(pieces[at - 1] ?? '')).toBe(true);

  const shown = await runForPeople(dataDir, 'prompt', '--model', join(folder, 'onnx/model.onnx'), '--max-tokens', String(TOKENS), text);
  expect(shown).toMatchObject({ code: 0, stdout: `${expected}\n` });
  expect(shown.stderr).toMatch(/\d+ tokens?, [\d.,]+ a second/);
});

test('a decoder that was added answers by its name', async () => {
  const folder = decoderFolder();
  const dataDir = temporaryFolder('prompt');
  const added = await run(dataDir, 'model', 'add', folder, '--yes', '--accept-missing-licence');
  expect(added.code).toBe(0);
  const digest = (added.last as { digest: string }).digest;
  const told = await run(dataDir, 'prompt', '--model', digest, '--max-tokens', String(TOKENS), text);
  expect(told).toMatchObject({ code: 0, last: { text: await plainAnswer(folder), done: true } });
});

test('the same seed gives the same text, another one another', async () => {
  const folder = decoderFolder();
  const dataDir = temporaryFolder('prompt');
  const ask = async (seed: string) => {
    const { last } = await run(dataDir, 'prompt', '--model', folder, '--max-tokens', '20', '--temperature', '0.9', '--seed', seed, text);
    return last.text;
  };
  const first = await ask('7');
  expect(first).not.toBe('');
  expect(await ask('7')).toBe(first);
  expect(await ask('8')).not.toBe(first);
});

test('Ctrl-C in the middle of an answer ends it', async () => {
  const folder = decoderFolder({ maxPositions: 32_768 });
  const command = hearthlend(temporaryFolder('prompt'), 'prompt', '--model', folder, '--max-tokens', '30000', text);
  await command.event('prompt.text');
  command.process.kill('SIGINT');
  expect(await command.ended).toMatchObject({ code: 1, signal: null });
  expect(command.lines.at(-1)).toMatchObject({ event: 'error', code: 'JOB_CANCELLED' });
});

test('what keeps a decoder from answering is told by its code', async () => {
  const dataDir = temporaryFolder('prompt');
  const ask = async (...args: string[]) => {
    const { code, last } = await run(dataDir, 'prompt', ...args);
    return { code, error: last.code, message: last.message };
  };
  const wordless = decoderFolder();
  rmSync(join(wordless, 'tokenizer.json'));
  expect(await ask('--model', wordless, text)).toMatchObject({ code: 1, error: 'TOKENIZER_INVALID' });

  const cut = decoderFolder();
  rmSync(join(cut, 'onnx/model.onnx_data'));
  expect(await ask('--model', cut, text)).toMatchObject({ code: 1, error: 'MODEL_DATA_MISSING' });

  const small = decoderFolder();
  expect(await ask('--model', small, 'x'.repeat(SMALL.maxPositions))).toMatchObject({ code: 1, error: 'TEXT_TOO_LONG' });
  expect(await ask('--model', small, '--temperature', '11', text)).toMatchObject({ code: 2, error: 'USAGE' });
});
