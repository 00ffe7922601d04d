import type { ServerResponse } from 'node:http';
import { type AnswerShape, complete } from './completing.ts';
import type { Asking } from './ports.ts';
import { parseChat } from './requests.ts';

/** POST /v1/chat/completions. Source of the objects: the reference of OpenAI's API, "The chat completion object" and "… chunk object". */
const SHAPE: AnswerShape = {
  prefix: 'chatcmpl',
  whole: (head, answers, usage) => ({
    ...head,
    object: 'chat.completion',
    choices: answers.map(({ text, finish }, index) => ({
      index,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: null,
      finish_reason: finish,
    })),
    usage,
  }),
  first: (head, index) => chunk(head, index, { role: 'assistant', content: '', refusal: null }, null),
  piece: (head, index, text) => chunk(head, index, { content: text }, null),
  last: (head, index, finish) => chunk(head, index, {}, finish),
  usage: (head, usage) => ({ ...head, object: 'chat.completion.chunk', choices: [], usage }),
};

const chunk = (head: object, index: number, delta: object, finish: string | null) => ({
  ...head,
  object: 'chat.completion.chunk',
  choices: [{ index, delta, logprobs: null, finish_reason: finish }],
});

export async function answerChat(asking: Asking, response: ServerResponse, body: Record<string, unknown>): Promise<void> {
  const request = parseChat(body);
  const opened = await asking.ports.models.open(request.model);
  try {
    const generating = await opened.generating();
    const ids = generating.encodeChat(request.messages);
    const maxNewTokens = request.max_completion_tokens ?? request.max_tokens ?? generating.decoder.maxPositions;
    await complete(asking, response, { opened, generating }, request, [ids], maxNewTokens, SHAPE);
  } finally {
    opened.release();
  }
}
