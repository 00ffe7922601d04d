import { z } from 'zod';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { ChatMessage } from '../../core/contract/serving.ts';

/** Source of the fields and their bounds: the reference of OpenAI's API. Bounds are narrower where nothing here needs the width. */
const MAX_MESSAGES = 4096;
const MAX_TEXT = 200_000;
/** Answers to one request: prompts times `n`. */
export const MAX_CHOICES = 16;
const MAX_EMBEDDED = 256;
const MAX_IDS = 100_000;

const Text = z.string().max(MAX_TEXT);
const Ids = z.array(z.int().min(0).max(0xffff_ffff)).min(1).max(MAX_IDS);
const Model = z.string().min(1).max(8192);

const Content = z.union([
  Text,
  z
    .array(z.strictObject({ type: z.literal('text'), text: Text }))
    .min(1)
    .max(MAX_MESSAGES)
    .transform((parts) => parts.map(({ text }) => text).join('')),
]);
const Message = z
  .strictObject({ role: z.enum(['system', 'developer', 'user', 'assistant']), content: Content, name: z.string().max(256).nullish() })
  .transform(({ role, content, name }): ChatMessage => {
    // What came after `system`, under which templates know it.
    const known = role === 'developer' ? 'system' : role;
    return name == null ? { role: known, content } : { role: known, content, name };
  });

const generation = {
  model: Model,
  n: z.int().min(1).max(MAX_CHOICES).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)])
    .nullish()
    .transform((stop) => (stop == null ? [] : typeof stop === 'string' ? [stop] : stop)),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() }).nullish(),
};
const MaxTokens = z.int().min(1).max(1_000_000).nullish();

const ChatRequest = z.strictObject({
  ...generation,
  messages: z.array(Message).min(1).max(MAX_MESSAGES),
  max_tokens: MaxTokens,
  max_completion_tokens: MaxTokens,
});
const CompletionRequest = z.strictObject({
  ...generation,
  prompt: z.union([Text, Ids, z.array(Text).min(1).max(MAX_CHOICES), z.array(Ids).min(1).max(MAX_CHOICES)]),
  max_tokens: MaxTokens,
});
const EmbeddingRequest = z.strictObject({
  model: Model,
  input: z.union([Text.min(1), Ids, z.array(Text.min(1)).min(1).max(MAX_EMBEDDED), z.array(Ids).min(1).max(MAX_EMBEDDED)]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
});

/** What changes nothing of an answer, or is not kept here anyway. */
const IGNORED = ['user', 'metadata', 'service_tier', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention'];
/** Fields of what is not done here, and the values under which nothing is asked for. Any other is refused: an answer without it would be wrong. */
const NOTHING_ASKED: Record<string, readonly unknown[]> = {
  frequency_penalty: [0],
  presence_penalty: [0],
  logit_bias: [{}],
  logprobs: [false],
  top_logprobs: [0],
  tools: [[]],
  tool_choice: ['none', 'auto'],
  parallel_tool_calls: [true, false],
  functions: [[]],
  function_call: ['none', 'auto'],
  response_format: [{ type: 'text' }],
  modalities: [['text']],
  store: [false],
  audio: [],
  prediction: [],
  reasoning_effort: [],
  verbosity: [],
  web_search_options: [],
  echo: [false],
  suffix: [''],
  best_of: [1],
  dimensions: [],
};

export const parseChat = (body: Record<string, unknown>) => parse(ChatRequest, body);
export const parseCompletion = (body: Record<string, unknown>) => parse(CompletionRequest, body);
export const parseEmbedding = (body: Record<string, unknown>) => parse(EmbeddingRequest, body);
export type GenerationRequest = z.infer<typeof ChatRequest> | z.infer<typeof CompletionRequest>;

/** @throws PARAMETER_INVALID, PARAMETER_UNSUPPORTED with the name of the field */
function parse<T>(schema: z.ZodType<T>, body: Record<string, unknown>): T {
  const asked = Object.fromEntries(
    Object.entries(body).filter(([name, value]) => {
      if (IGNORED.includes(name)) return false;
      const nothing = Object.hasOwn(NOTHING_ASKED, name) ? NOTHING_ASKED[name] : undefined;
      return nothing === undefined || !(value === null || nothing.some((each) => JSON.stringify(each) === JSON.stringify(value)));
    }),
  );
  const parsed = schema.safeParse(asked);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.code === 'unrecognized_keys') {
    throw new HearthlendError('PARAMETER_UNSUPPORTED', { param: [...issue.path, issue.keys[0]].join('.').slice(0, 200) });
  }
  const detail = issue?.code === 'invalid_union' ? 'it is of none of the forms that it can have' : (issue?.message ?? '');
  throw new HearthlendError('PARAMETER_INVALID', { param: (issue?.path.join('.') || 'body').slice(0, 200), detail });
}
