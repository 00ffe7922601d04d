import { join } from 'node:path';
import type { InferenceSession, OnnxValue } from 'onnxruntime-node';
import { expect, onTestFinished, test } from 'vitest';
import { CPU } from '../../core/contract/backends.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GraphValue } from '../../core/contract/worker-messages.ts';
import { generate } from '../../worker/native/generate.ts';
import { loadOnnxRuntime } from '../../worker/native/onnxruntime.ts';
import type { Session } from '../../worker/shard/session.ts';
import { int64, practiceDecoder, practiceModel, temporaryFolder, tokensOf } from '../core/supervisor/workbench.ts';
import { type DecoderShape, SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';
import { openPlain, plainLoop } from '../fixtures/decoder/plain-loop.ts';

const ort = await loadOnnxRuntime();
const prompt = [0, 84, 104, 105, 115];

/** How a pass kept the cache: handed over as it came, written into memory of ours, or left where it was. */
type Way = 'handed over' | 'alternating' | 'in place';

/** A session that notes how each pass keeps its cache. */
async function watchedSession(path: string): Promise<{ session: Session; plain: InferenceSession; ways: Way[] }> {
  const plain = await openPlain(path, 1);
  onTestFinished(() => plain.release());
  const ways: Way[] = [];
  const wayOf = (feeds: Record<string, OnnxValue>, fetches: unknown): Way => {
    if (Array.isArray(fetches)) return 'handed over';
    return (fetches as Record<string, unknown>)['present.0.key'] === feeds['past_key_values.0.key'] ? 'in place' : 'alternating';
  };
  const run = (feeds: Record<string, OnnxValue>, fetches: string[], options: object) => {
    ways.push(wayOf(feeds, fetches));
    return plain.run(feeds, fetches, options);
  };
  const values = (all: readonly InferenceSession.ValueMetadata[]) => all as unknown as GraphValue[];
  const session = {
    ort: { run } as unknown as InferenceSession,
    inputs: values(plain.inputMetadata),
    outputs: values(plain.outputMetadata),
  };
  return { session, plain, ways };
}

function ask(session: Session, decoder: DecoderConfig, maxNewTokens: number, ids = prompt) {
  const body = encodeSafetensors(new Map([['input_ids', int64([1, ids.length], ids)]]));
  const request = {
    type: 'generate' as const,
    id: 1,
    model: '0'.repeat(64),
    session: { intraOpThreads: 1, graphOptimization: 'all' as const },
    decoder,
    maxNewTokens,
    stopTokens: [],
    sampling: { method: 'greedy' as const },
    outputBytes: 1 << 20,
    provider: CPU,
  };
  return generate(ort, session, request, body, () => undefined);
}

async function decoderOf(shape: Partial<DecoderShape>) {
  const folder = temporaryFolder();
  const whole = { ...SMALL, ...shape };
  makeDecoder(folder, whole);
  const { layers, keyValueHeads, headSize, maxPositions } = whole;
  return { ...(await watchedSession(join(folder, 'onnx/model.onnx'))), decoder: { layers, keyValueHeads, headSize, maxPositions } };
}

test.each(['float32', 'float16'] as const)(
  'the cache of grouped-query attention in %s stays in place, also where it has to grow',
  async (element) => {
    const { session, plain, ways, decoder } = await decoderOf({ element, maxPositions: 1024 });
    const expected = await plainLoop(plain, prompt, 700);
    expect(tokensOf((await ask(session, decoder, 700)).outputs)).toEqual(expected);
    expect(ways.slice(0, 4)).toEqual(['handed over', 'in place', 'alternating', 'in place']);
    expect(ways.slice(3).every((way) => way === 'in place')).toBe(true);
    ways.length = 0;
    expect(tokensOf((await ask(session, decoder, 700)).outputs)).toEqual(expected);
    expect(ways).toEqual(['handed over', ...new Array<Way>(699).fill('in place')]);
  },
);

test.each<Partial<DecoderShape>>([{}, { rotary: 'outside' }, { logitsToKeep: true }])(
  'a prompt of thousands of tokens goes in by pieces, and gets the answer that it gets as a whole: %o',
  async (shape) => {
    const { session, plain, ways, decoder } = await decoderOf({ ...shape, maxPositions: 4096 });
    const long = Array.from({ length: 2500 }, (_, at) => 1 + ((at * 31 + (at >> 3)) % 400));
    expect(tokensOf((await ask(session, decoder, 8, long)).outputs)).toEqual(await plainLoop(plain, long, 8));
    expect(ways.filter((way) => way === 'handed over')).toHaveLength(3);
  },
);

test('a decoder that looks at the length of its cache is found out, and gets one of just that length', async () => {
  const { session, plain, ways, decoder } = await decoderOf({ rotary: 'by-cache' });
  expect(tokensOf((await ask(session, decoder, 100)).outputs)).toEqual(await plainLoop(plain, prompt, 100));
  expect(ways).toEqual(['handed over', 'in place', ...new Array<Way>(99).fill('alternating')]);
});

test('a decoder that appends to its cache gets two buffers that take turns, and is asked once whether one would do', async () => {
  const { session, ways } = await watchedSession(practiceModel);
  const first = tokensOf((await ask(session, practiceDecoder, 60)).outputs);
  expect(ways).toEqual(['handed over', 'in place', ...new Array<Way>(59).fill('alternating')]);
  ways.length = 0;
  expect(tokensOf((await ask(session, practiceDecoder, 60)).outputs)).toEqual(first);
  expect(ways).toEqual(['handed over', ...new Array<Way>(59).fill('alternating')]);
});
