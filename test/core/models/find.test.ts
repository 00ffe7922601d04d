import { expect, test } from 'vitest';
import type { AddedModel } from '../../../core/contract/models.ts';
import { findAdded } from '../../../core/models/find.ts';

const added = (digest: string, entry: string, revision: string, requested: string | null = null): AddedModel => ({
  digest: digest.repeat(32),
  name: `hf:someone/tiny#${entry}`,
  origin: { type: 'hub', endpoint: 'https://huggingface.co', repository: 'someone/tiny', requested, revision: revision.repeat(20) },
  licence: 'mit',
  addedAt: 1,
  entry,
  files: [],
  bytes: 0,
});
const models = [added('aa', 'onnx/model.onnx', '11'), added('ab', 'onnx/model.onnx', '22', 'v2'), added('cc', 'onnx/model_q4.onnx', '11')];

test.each([
  ['aaaaaaaa', 'aa'],
  ['ab'.repeat(32), 'ab'],
  ['hf:someone/tiny#onnx/model_q4.onnx', 'cc'],
  ['hf:someone/tiny@v2', 'ab'],
  ['hf:someone/tiny@2222222', 'ab'],
  ['hf:someone/tiny@1111111111#onnx/model.onnx', 'aa'],
])('%s is found', (wanted, digest) => {
  expect(findAdded(models, wanted).digest).toBe(digest.repeat(32));
});

test('what may be several models is not guessed, and what is none is said to be', () => {
  expect(() => findAdded(models, 'hf:someone/tiny#onnx/model.onnx')).toThrow(
    expect.objectContaining({ code: 'MODEL_AMBIGUOUS', params: expect.objectContaining({ names: expect.stringContaining('aaaaaaaa') }) }),
  );
  for (const wanted of ['hf:someone/tiny@111111', 'hf:someone/other', 'dddddddd', 'model.onnx', 'aaaaaaa']) {
    expect(() => findAdded(models, wanted)).toThrow(expect.objectContaining({ code: 'MODEL_UNKNOWN' }));
  }
});
