import { expect, test } from 'vitest';
import { ACROSS_BACKENDS } from '../../../core/contract/backends.ts';
import { decodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Tensor } from '../../../core/contract/tensor.ts';
import { onGpu, superviseWindow } from '../../core/gpu-window/workbench.ts';
import {
  failure,
  float32,
  generateTask,
  runTask,
  storeModel,
  storePracticeModel,
  supervise,
  tokensOf,
} from '../../core/supervisor/workbench.ts';
import { halfDecoder, modelCases } from '../../fixtures/onnx-models.ts';
import { model, node, value } from '../../fixtures/onnx-writer.ts';

/** What the build for pages has no kernel for: it refuses the model, with its name for what is missing. */
const REFUSED = new Set(['casts']);

test("greedy text of the practice model is the native worker's, token for token, streamed as it is made", async () => {
  const window = superviseWindow();
  const practice = storePracticeModel();
  const prompt = [0, 320, 410, 290];
  const native = await supervise().run(generateTask(practice, prompt, { maxNewTokens: 3 }));
  const streamed: number[] = [];
  const task = onGpu(generateTask(practice, prompt, { maxNewTokens: 3, wallMs: 120_000 }));
  const made = await window.run(task, { onToken: (token) => streamed.push(token) });
  // A near-tie is where the two might differ.
  expect([made.nearTies, native.nearTies]).toEqual([0, 0]);
  expect(tokensOf(made.outputs)).toEqual(tokensOf(native.outputs));
  expect(streamed).toEqual(tokensOf(made.outputs));
  expect(made).toMatchObject({ tokensMade: 3, commitment: native.commitment });
  expect(made.loadMs).toBeGreaterThan(0);
  expect(made.residentBytes).toBeGreaterThan(2 ** 24);
  const [stop] = streamed as [number];
  const stopped = await window.run(onGpu(generateTask(practice, prompt, { stopTokens: [stop], wallMs: 120_000 })));
  expect(tokensOf(stopped.outputs)).toEqual([stop]);
  expect(stopped.loadMs).toBeNull();
  expect(await failure(window.run(onGpu(generateTask(practice, Array(128).fill(5)))))).toMatchObject({ code: 'INPUT_MISMATCH' });
});

test("one pass gives the native worker's outputs, within what backends may differ by, whatever the model is made of", async () => {
  const window = superviseWindow();
  const native = supervise();
  for (const { name, files, inputs } of modelCases()) {
    const task = runTask(storeModel(files), inputs, { wallMs: 60_000 });
    if (REFUSED.has(name)) {
      expect(await failure(window.run(onGpu(task)))).toMatchObject({ code: 'BACKEND_REFUSED' });
      continue;
    }
    const ours = decodeSafetensors((await native.run(task)).outputs);
    const theirs = decodeSafetensors((await window.run(onGpu(task))).outputs);
    expect([...theirs.keys()]).toEqual([...ours.keys()]);
    for (const [output, tensor] of theirs) expectSame(`${name}: ${output}`, tensor, ours.get(output) as Tensor);
  }
});

test('what is large goes in and comes out whole, and halves are read as halves', async () => {
  const window = superviseWindow();
  const size = 700_000;
  const bytes = model({
    nodes: [node('Neg', ['x'], ['y'])],
    inputs: [value('x', 'float32', [size])],
    outputs: [value('y', 'float32', [size])],
  });
  const task = runTask(
    storeModel({ 'model.onnx': bytes }),
    new Map([
      [
        'x',
        float32(
          [size],
          Float32Array.from({ length: size }, (_, at) => at),
        ),
      ],
    ]),
  );
  const { outputs } = await window.run(onGpu(task));
  const { data } = decodeSafetensors(outputs).get('y') as Tensor;
  const values = new Float32Array(new Uint8Array(data).buffer);
  expect(values.length).toBe(size);
  expect(values.every((each, at) => each === -at)).toBe(true);
  expect(await failure(window.run(onGpu(runTask(task.model, task.inputs, { outputBytes: 1000 }))))).toMatchObject({
    code: 'OUTPUT_TOO_LARGE',
  });
  // On its WebAssembly: the imitated GPU has no halves.
  const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 64 };
  const made = await window.run(generateTask(storeModel(halfDecoder()), [2, 5, 11], { decoder, maxNewTokens: 6, stopTokens: [] }));
  const expected: number[] = [];
  for (let sum = 18; expected.length < 6; sum += expected.at(-1) as number) expected.push((3 * sum + 1) % 16);
  expect(tokensOf(made.outputs)).toEqual(expected);
});

function expectSame(name: string, ours: Tensor, theirs: Tensor): void {
  expect([ours.type, ours.shape], name).toEqual([theirs.type, theirs.shape]);
  if (ours.type !== 'float32') {
    expect(Buffer.from(ours.data).equals(Buffer.from(theirs.data)), name).toBe(true);
    return;
  }
  const [a, b] = [ours, theirs].map(({ data }) => new Float32Array(new Uint8Array(data).buffer)) as [Float32Array, Float32Array];
  const difference = Math.sqrt(a.reduce((sum, each, at) => sum + (each - (b[at] as number)) ** 2, 0));
  const size = Math.sqrt(b.reduce((sum, each) => sum + each ** 2, 0));
  expect(difference, name).toBeLessThanOrEqual(ACROSS_BACKENDS * size);
}
