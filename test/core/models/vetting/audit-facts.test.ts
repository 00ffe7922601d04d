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
  expect(await inspect(storePracticeModel())).toEqual({ coarse: false, random: null });
  expect((await inspect(storeModel(halfDecoder()))).coarse).toBe(true);
  expect((await inspect(drawing('DynamicQuantizeLinear', ['x']))).coarse).toBe(true);
  expect((await inspect(drawing('MatMulNBits', ['x'], 'com.microsoft'))).coarse).toBe(true);
});
