import { expect, test } from 'vitest';
import type { ModelValue } from '../../../core/contract/jobs.ts';
import { embeddingOf } from '../../../core/models/embedding.ts';

const outputs = (...names: string[]): ModelValue[] => names.map((name) => ({ name, type: 'float32', shape: null }));
const NORMALIZED = [{ type: 'sentence_transformers.models.Transformer' }, { type: 'sentence_transformers.models.Normalize' }];

test('how tokens become one vector is what the model’s configuration says', () => {
  const mean = { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false };
  expect(embeddingOf(outputs('last_hidden_state'), mean, undefined)).toEqual({
    output: 'last_hidden_state',
    pooling: 'mean',
    normalize: false,
  });
  const cls = { pooling_mode_cls_token: true, word_embedding_dimension: 384 };
  expect(embeddingOf(outputs('token_embeddings', 'x'), cls, NORMALIZED)).toEqual({
    output: 'token_embeddings',
    pooling: 'cls',
    normalize: true,
  });
  expect(embeddingOf(outputs('token_embeddings', 'sentence_embedding'), undefined, undefined)).toMatchObject({
    output: 'sentence_embedding',
    pooling: 'none',
  });
});

test('where it says nothing, nothing is guessed', () => {
  expect(() => embeddingOf(outputs('logits'), undefined, undefined)).toThrow('MODEL_NO_EMBEDDING');
  expect(() => embeddingOf(outputs('last_hidden_state'), undefined, undefined)).toThrow('MODEL_NO_EMBEDDING');
  expect(() => embeddingOf(outputs('last_hidden_state'), { pooling_mode_max_tokens: true }, undefined)).toThrow('MODEL_NO_EMBEDDING');
});
