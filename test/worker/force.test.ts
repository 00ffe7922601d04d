import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startThresholds } from '../../coordinator/trust/thresholds.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { readDecoder } from '../../core/models/decoder.ts';
import {
  failure,
  generateTask,
  int64,
  practiceDecoder,
  storeModel,
  storePracticeModel,
  supervise,
  temporaryFolder,
  tokensOf,
} from '../core/supervisor/workbench.ts';
import { SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';

const TOLERANCE = { draw: 1e-4, logit: 1e-3 };

function forced(task: ReturnType<typeof generateTask>, tokens: number[]) {
  const inputs = encodeSafetensors(decodeSafetensors(task.inputs).set('tokens', int64([tokens.length], tokens)));
  return { ...task, inputs, forced: TOLERANCE };
}

function told(outputs: Uint8Array): { drawn: number[]; shift: number[] } {
  const tensors = decodeSafetensors(outputs);
  const bytes = (name: string) => new Uint8Array(tensors.get(name)?.data ?? []).buffer;
  return { drawn: Array.from(new BigInt64Array(bytes('drawn')), Number), shift: Array.from(new Float64Array(bytes('shift'))) };
}

test('a generation that is checked in one pass draws the tokens that it was made of, and shows the one that was changed', async () => {
  const supervisor = supervise();
  const model = storePracticeModel();
  const samplings = [
    { method: 'greedy' as const },
    { method: 'sample' as const, seed: '00000000000000aa', temperature: 0.9, topK: 50, topP: 0.95 },
  ];
  for (const sampling of samplings) {
    const task = generateTask(model, [0, 320, 410, 290], { sampling, maxNewTokens: 40 });
    const tokens = tokensOf((await supervisor.run(task)).outputs);
    const checked = await supervisor.run({ ...forced(task, tokens), threads: 2 });
    expect(told(checked.outputs).drawn).toEqual(tokens);
    expect(told(checked.outputs).shift).toEqual(tokens.map(() => 0));
    expect(checked).toMatchObject({ tokensMade: 0, nearTies: 0 });

    const at = tokens.length - 2;
    const changed = tokens.with(at, (tokens[at] as number) + 1);
    const caught = told((await supervisor.run(forced(task, changed))).outputs);
    expect(caught.drawn.slice(0, at + 1)).toEqual(tokens.slice(0, at + 1));
    expect(caught.shift.slice(0, at)).toEqual(tokens.slice(0, at).map(() => 0));
    expect(caught.shift[at]).toBeGreaterThan(TOLERANCE.logit);
  }
});

test('a text is checked in pieces, with the cache going from one to the next, also in float16', async () => {
  const supervisor = supervise();
  for (const shape of [{}, { element: 'float16' as const, logitsToKeep: true }]) {
    const folder = temporaryFolder();
    makeDecoder(folder, { ...SMALL, maxPositions: 1024, ...shape });
    const { decoder } = await readDecoder(folder);
    const files = Object.fromEntries(readdirSync(join(folder, 'onnx')).map((name) => [name, readFileSync(join(folder, 'onnx', name))]));
    const task = generateTask(storeModel(files), [2, 5, 11], { decoder, maxNewTokens: 600, stopTokens: [] });
    const tokens = tokensOf((await supervisor.run(task)).outputs);
    expect(tokens).toHaveLength(600);
    const { drawn, shift } = told((await supervisor.run(forced(task, tokens))).outputs);
    // Its weights of 4 bits have activations rounded too, and many tokens at once are rounded otherwise than one: near-ties, and no more.
    expect(drawn.filter((token, at) => token !== tokens[at]).length).toBeLessThan(60);
    expect(Math.max(...shift)).toBeLessThan(startThresholds({ claimed: 'cpu', reference: 'cpu' }, true).logit);
    const stepped = forced(task, tokens);
    const byStep = told((await supervisor.run({ ...stepped, forced: { ...TOLERANCE, stepwise: true } })).outputs);
    expect(byStep.drawn).toEqual(tokens);
  }
});

test('claimed tokens that are missing, none, or more than fit are refused by name', async () => {
  const supervisor = supervise();
  const task = generateTask(storePracticeModel(), [0, 71]);
  expect(await failure(supervisor.run({ ...task, forced: TOLERANCE }))).toMatchObject({
    code: 'INPUT_MISSING',
    params: { name: 'tokens' },
  });
  expect(await failure(supervisor.run(forced(task, [])))).toMatchObject({ code: 'INPUT_MISMATCH', params: { name: 'tokens' } });
  const long = Array.from({ length: practiceDecoder.maxPositions - 1 }, () => 5);
  expect(await failure(supervisor.run(forced(task, long)))).toMatchObject({ code: 'INPUT_MISMATCH', params: { name: 'tokens' } });
});
