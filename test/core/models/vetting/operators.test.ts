import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { CONTRIB_OPERATORS, isKnownOperator } from '../../../../core/models/vetting/operators.ts';
import { model, node, value } from '../../../fixtures/onnx-writer.ts';

/** Whether ONNX Runtime has an operator of this name, whatever it thinks of how it is called. */
async function known(type: string, domain: string): Promise<boolean> {
  const bytes = model(
    { nodes: [node(type, ['x'], ['y'], {}, domain)], inputs: [value('x', 'float32', [1])], outputs: [value('y', 'float32', [1])] },
    [domain],
  );
  return ort.InferenceSession.create(bytes, { logSeverityLevel: 4 }).then(
    () => true,
    (error: Error) => !error.message.includes('is not a registered function/op'),
  );
}

test('every contrib operator that strangers may use is one that this ONNX Runtime has', async () => {
  const unknown: string[] = [];
  for (const type of CONTRIB_OPERATORS) if (!(await known(type, 'com.microsoft'))) unknown.push(type);
  expect(unknown).toEqual([]);
  expect(CONTRIB_OPERATORS.size).toBe(125);
  expect(await known('NoSuchThing', 'com.microsoft')).toBe(false);
});

test('what carries a program for another runtime is left out, though ONNX Runtime has it', async () => {
  for (const type of ['EPContext', 'Snpe']) {
    expect(await known(type, 'com.microsoft')).toBe(true);
    expect(isKnownOperator({ domain: 'com.microsoft', type, overload: '' })).toBe(false);
  }
});
