import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelValue } from '../contract/jobs.ts';
import type { Embedding } from '../contract/serving.ts';

/** `1_Pooling/config.json` and `modules.json`. Source: sentence_transformers/models/Pooling.py in UKPLab/sentence-transformers. */
const PoolingConfig = z.looseObject({
  pooling_mode_mean_tokens: z.boolean().default(false),
  pooling_mode_cls_token: z.boolean().default(false),
});
const Modules = z.array(z.looseObject({ type: z.string() })).max(64);

/** Outputs under which exporters put a text's one vector, and its tokens' vectors. */
const TEXT_OUTPUTS = ['sentence_embedding', 'text_embeds'];
const TOKEN_OUTPUTS = ['last_hidden_state', 'token_embeddings'];

/**
 * How a model's outputs become one vector a text, by what its configuration says. Nothing is guessed: vectors pooled in another way than the model
 * was trained for look like any others.
 * @throws MODEL_NO_EMBEDDING
 */
export function embeddingOf(
  outputs: readonly ModelValue[],
  pooling: unknown,
  modules: unknown,
): Pick<Embedding, 'output' | 'pooling' | 'normalize'> {
  const named = (names: readonly string[]) => names.find((name) => outputs.some((output) => output.name === name));
  const text = named(TEXT_OUTPUTS);
  if (text !== undefined) return { output: text, pooling: 'none', normalize: false };
  const tokens = named(TOKEN_OUTPUTS);
  if (tokens === undefined)
    throw noEmbedding(
      `its outputs are ${outputs
        .map(({ name }) => name)
        .slice(0, 8)
        .join(', ')}`,
    );
  const config = PoolingConfig.safeParse(pooling);
  if (!config.success) throw noEmbedding('it has no 1_Pooling/config.json that says how its tokens become one vector');
  const { pooling_mode_cls_token: cls, pooling_mode_mean_tokens: mean } = config.data;
  if (cls === mean) throw noEmbedding('its 1_Pooling/config.json asks for a pooling that is not known here');
  const steps = Modules.safeParse(modules);
  return {
    output: tokens,
    pooling: mean ? 'mean' : 'cls',
    normalize: steps.success && steps.data.some(({ type }) => type.endsWith('Normalize')),
  };
}

function noEmbedding(detail: string): HearthlendError {
  return new HearthlendError('MODEL_NO_EMBEDDING', { detail });
}
