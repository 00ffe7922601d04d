import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import {
  failure,
  generateTask,
  practiceDecoder,
  practiceModel,
  storeModel,
  storePracticeModel,
  supervise,
  tokensOf,
} from '../core/supervisor/workbench.ts';
import { halfDecoder } from '../fixtures/onnx-models.ts';

const prompts = [
  [0, 320, 410, 290],
  [0, 71],
  [0, 1200, 88, 305, 1999, 4],
];

/** Greedy decoding with onnxruntime-node and nothing of ours: the whole text once more for every token, so without a cache to get wrong. */
async function plainGreedy(prompt: number[], tokens: number, threads: number): Promise<number[]> {
  const session = await ort.InferenceSession.create(practiceModel, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const { layers, keyValueHeads, headSize } = practiceDecoder;
  const int64 = (values: number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
  const made: number[] = [];
  let ids = prompt;
  let past = 0;
  let cache: Record<string, ort.Tensor> = {};
  for (let layer = 0; layer < layers; layer += 1) {
    for (const part of ['key', 'value']) {
      cache[`past_key_values.${layer}.${part}`] = new ort.Tensor('float32', new Float32Array(0), [1, keyValueHeads, 0, headSize]);
    }
  }
  while (made.length < tokens) {
    const seen = past + ids.length;
    const results = await session.run({
      input_ids: int64(ids),
      attention_mask: int64(Array(seen).fill(1)),
      position_ids: int64(ids.map((_, at) => past + at)),
      ...cache,
    });
    past = seen;
    const logits = (results.logits as ort.Tensor).data as Float32Array;
    const last = logits.subarray(logits.length - 2048);
    const token = last.indexOf(Math.max(...last));
    made.push(token);
    if (token === 0) break;
    ids = [token];
    cache = Object.fromEntries(
      Object.entries(results)
        .filter(([name]) => name.startsWith('present'))
        .map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor]),
    );
  }
  await session.release();
  return made;
}

test('greedy text equals that of a plain onnxruntime-node loop, token for token, at each number of threads', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  for (const threads of [1, 2]) {
    for (const prompt of prompts) {
      const streamed: number[] = [];
      const made = await supervisor.run(generateTask(model, prompt, { threads }), { onToken: (token) => streamed.push(token) });
      expect(tokensOf(made.outputs)).toEqual(await plainGreedy(prompt, 60, threads));
      expect(streamed).toEqual(tokensOf(made.outputs));
      expect(made.tokensMade).toBe(streamed.length);
    }
  }
});

test('sampled text is the same for the same seed, across runs and across numbers of threads but for near-ties', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  const texts = new Set<string>();
  let nearTies = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    const sampling = { method: 'sample' as const, seed: seed.toString(16).padStart(16, '0'), temperature: 0.9, topK: 50, topP: 0.95 };
    const make = (threads: number) =>
      supervisor.run(generateTask(model, prompts[seed % 3] as number[], { threads, sampling, maxNewTokens: 40 }));
    const [first, again, other] = [await make(1), await make(1), await make(2)];
    nearTies += first.nearTies;
    expect(tokensOf(again.outputs)).toEqual(tokensOf(first.outputs));
    if (first.nearTies === 0) expect(tokensOf(other.outputs)).toEqual(tokensOf(first.outputs));
    texts.add(String(tokensOf(first.outputs)));
  }
  expect(texts.size).toBeGreaterThan(10);
  // About 400 draws, each with a chance of about 1e-4 to come that near to an edge.
  expect(nearTies).toBeLessThan(5);
});

test('it ends at a stop token, which is part of the result, at the token limit, and where the positions are used up', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  const prompt = prompts[0] as number[];
  const free = tokensOf((await supervisor.run(generateTask(model, prompt, { stopTokens: [], maxNewTokens: 500 }))).outputs);
  expect(free.length).toBe(practiceDecoder.maxPositions - prompt.length);
  const stop = free[7] as number;
  const stopped = tokensOf((await supervisor.run(generateTask(model, prompt, { stopTokens: [stop] }))).outputs);
  expect(stopped).toEqual(free.slice(0, free.indexOf(stop) + 1));
  expect(tokensOf((await supervisor.run(generateTask(model, prompt, { maxNewTokens: 3, stopTokens: [] }))).outputs)).toEqual(
    free.slice(0, 3),
  );
});

test('a prompt that leaves no room, or is no list of ids, is refused by name', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  expect(await failure(supervisor.run(generateTask(model, Array(128).fill(5))))).toMatchObject({
    code: 'INPUT_MISMATCH',
    params: { name: 'input_ids' },
  });
  expect(await failure(supervisor.run(generateTask(model, [])))).toMatchObject({ code: 'INPUT_MISMATCH', params: { name: 'input_ids' } });
  // An id outside of the vocabulary.
  expect(await failure(supervisor.run(generateTask(model, [0, 5000])))).toMatchObject({ code: 'RUN_FAILED' });
  const decoder = { ...practiceDecoder, layers: 7 };
  expect(await failure(supervisor.run(generateTask(model, [0], { decoder })))).toMatchObject({ code: 'MODEL_NOT_GENERATIVE' });
});

test('a decoder in float16, without attention mask and position ids, is run too', async () => {
  const supervisor = supervise();
  const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 64 };
  const prompt = [2, 5, 11];
  const made = await supervisor.run(generateTask(storeModel(halfDecoder()), prompt, { decoder, maxNewTokens: 12, stopTokens: [] }));
  const expected: number[] = [];
  for (let sum = 18; expected.length < 12; sum += expected.at(-1) as number) expected.push((3 * sum + 1) % 16);
  expect(tokensOf(made.outputs)).toEqual(expected);
});

test('memory stays flat over thousands of tokens', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  const resident: number[] = [];
  for (let round = 0; round < 24; round += 1) {
    const made = await supervisor.run(generateTask(model, [0, 100 + round], { maxNewTokens: 126, stopTokens: [] }));
    expect(made.tokensMade).toBe(126);
    resident.push(made.residentBytes as number);
  }
  const settled = Math.max(...resident.slice(8, 16));
  expect(Math.max(...resident.slice(16))).toBeLessThan(settled + 16 * 2 ** 20);
});
