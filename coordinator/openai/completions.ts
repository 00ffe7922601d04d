import type { ServerResponse } from 'node:http';
import { HearthlendError } from '../../core/contract/errors.ts';
import { type AnswerShape, complete } from './completing.ts';
import type { Asking } from './ports.ts';
import { MAX_CHOICES, parseCompletion } from './requests.ts';

/** As many tokens as OpenAI's interface makes where a request names no number. */
const USUAL_TOKENS = 16;

/** POST /v1/completions. Source of the object: the reference of OpenAI's API, "The completion object". */
const SHAPE: AnswerShape = {
  prefix: 'cmpl',
  whole: (head, answers, usage) => ({
    ...head,
    object: 'text_completion',
    choices: answers.map(({ text, finish }, index) => ({ index, text, logprobs: null, finish_reason: finish })),
    usage,
  }),
  first: () => null,
  piece: (head, index, text) => chunk(head, index, text, null),
  last: (head, index, finish) => chunk(head, index, '', finish),
  usage: (head, usage) => ({ ...head, object: 'text_completion', choices: [], usage }),
};

const chunk = (head: object, index: number, text: string, finish: string | null) => ({
  ...head,
  object: 'text_completion',
  choices: [{ index, text, logprobs: null, finish_reason: finish }],
});

export async function answerCompletion(asking: Asking, response: ServerResponse, body: Record<string, unknown>): Promise<void> {
  const request = parseCompletion(body);
  const opened = await asking.ports.models.open(request.model);
  try {
    const generating = await opened.generating();
    const prompts = promptsOf(request.prompt).map((prompt) => (typeof prompt === 'string' ? generating.encode(prompt) : prompt));
    if (prompts.length * (request.n ?? 1) > MAX_CHOICES) {
      throw new HearthlendError('PARAMETER_INVALID', { param: 'n', detail: `${MAX_CHOICES} answers to one request are the most` });
    }
    await complete(asking, response, { opened, generating }, request, prompts, request.max_tokens ?? USUAL_TOKENS, SHAPE);
  } finally {
    opened.release();
  }
}

/** One or several prompts, each a text or ids. */
export function promptsOf(prompt: string | number[] | string[] | number[][]): Array<string | number[]> {
  if (typeof prompt === 'string') return [prompt];
  return isIds(prompt) ? [prompt] : prompt;
}

function isIds(prompt: number[] | string[] | number[][]): prompt is number[] {
  return typeof prompt[0] === 'number';
}
