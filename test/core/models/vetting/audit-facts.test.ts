import { expect, test } from 'vitest';
import type { LocalModel } from '../../../../core/contract/jobs.ts';
import { createInspect, createVet } from '../../../../core/models/vetting/vet.ts';
import { halfDecoder } from '../../../fixtures/onnx-models.ts';
import { model, node, value } from '../../../fixtures/onnx-writer.ts';
import { failure, storeModel, storePracticeModel } from '../../supervisor/workbench.ts';

const ROOM = { limitBytes: 2 ** 40, freeBytes: null };

function drawing(type: string, inputs: string[], domain = ''): ReturnType<typeof storeModel> {
  const bytes = model(
    {
      nodes: [node(type, inputs, ['y'], {}, domain)],
      inputs: ['x', 'ratio', 'training'].map((name) => value(name, name === 'training' ? 'bool' : 'float32', [2])),
      outputs: [value('y', 'float32', [2])],
    },
    domain === '' ? [] : [domain],
  );
  return storeModel({ 'model.onnx': bytes });
}

test('a model that draws by chance is told by its operator, and computed for its owner alone', async () => {
  const inspect = createInspect();
  const vet = createVet();
  for (const stored of [drawing('RandomNormalLike', ['x']), drawing('Bernoulli', ['x']), drawing('Dropout', ['x', 'ratio', 'training'])]) {
    expect((await inspect(stored as LocalModel)).random).toMatchObject({ operator: expect.any(String), where: expect.any(String) });
    expect(await failure(vet(stored, 'network', ROOM))).toMatchObject({ code: 'MODEL_OPERATOR_RANDOM' });
    expect(await failure(vet(stored, 'practice', ROOM))).toMatchObject({ code: 'MODEL_OPERATOR_RANDOM' });
    await vet(stored, 'own', ROOM);
  }
  // Outside of training it hands its input on.
  for (const inputs of [['x'], ['x', 'ratio', ''], ['x', '', '']]) {
    const stored = drawing('Dropout', inputs);
    expect((await inspect(stored)).random).toBeNull();
    await vet(stored, 'network', ROOM);
  }
});

test('float16, and activations that are rounded to few bits, make a model coarse', async () => {
  const inspect = createInspect();
  expect(await inspect(storePracticeModel())).toEqual({ coarse: false, random: null, indices: [] });
  expect((await inspect(storeModel(halfDecoder()))).coarse).toBe(true);
  expect((await inspect(drawing('DynamicQuantizeLinear', ['x']))).coarse).toBe(true);
  expect((await inspect(drawing('MatMulNBits', ['x'], 'com.microsoft'))).coarse).toBe(true);
});

test('outputs that are indices are found through what only reshapes them, with whether their values are given', async () => {
  const inspect = createInspect();
  const picking = (outputs: string[]) =>
    storeModel({
      'model.onnx': model({
        nodes: [
          node('Mul', ['x', 'x'], ['scores']),
          node('ArgMax', ['scores'], ['best'], { axis: 1, keepdims: 0 }),
          node('Cast', ['best'], ['class'], { to: 6 }),
          node('TopK', ['scores', 'k'], ['top', 'places'], { axis: 1 }),
        ],
        inputs: [value('x', 'float32', [1, 4]), value('k', 'int64', [1])],
        outputs: outputs.map((name) => value(name, name === 'class' ? 'int32' : name === 'places' ? 'int64' : 'float32', null)),
      }),
    });
  expect((await inspect(picking(['class', 'places', 'top']))).indices).toEqual([
    { output: 'class', values: 'scores', given: false },
    { output: 'places', values: 'scores', given: false },
  ]);
  expect((await inspect(picking(['class', 'scores']))).indices).toEqual([{ output: 'class', values: 'scores', given: true }]);
});
