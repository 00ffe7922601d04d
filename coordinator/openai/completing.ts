import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Generating, OpenedModel } from '../../core/contract/serving.ts';
import { faultOf } from './faults.ts';
import { type Answer, beginAnswer, checkPrompt } from './generation.ts';
import type { Asking } from './ports.ts';
import type { GenerationRequest } from './requests.ts';
import { samplingOf } from './sampling.ts';
import { openStream, sendJson } from './stream.ts';

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** What is the same in every object of one answer. */
interface AnswerHead {
  id: string;
  created: number;
  model: string;
}

/** How one of the interfaces writes answers down. */
export interface AnswerShape {
  prefix: string;
  whole(head: AnswerHead, answers: readonly Answer[], usage: Usage): object;
  /** Sent before the text of an answer; null where there is nothing to say then. */
  first(head: AnswerHead, index: number): object | null;
  piece(head: AnswerHead, index: number, text: string): object;
  last(head: AnswerHead, index: number, finish: Answer['finish']): object;
  /** The last of a stream, where it was asked for. */
  usage(head: AnswerHead, usage: Usage): object;
}

/** Answers prompts, each `n` times, at once or as the text comes. @throws before anything was sent */
export async function complete(
  asking: Asking,
  response: ServerResponse,
  model: { opened: OpenedModel; generating: Generating },
  request: GenerationRequest,
  prompts: readonly (readonly number[])[],
  maxNewTokens: number,
  shape: AnswerShape,
): Promise<void> {
  const { ports } = asking;
  const { opened, generating } = model;
  const id = `${shape.prefix}-${randomBytes(12).toString('hex')}`;
  const head = { id, created: Math.floor(ports.clock() / 1000), model: request.model };
  for (const ids of prompts) checkPrompt(ids, generating);
  const asked = prompts.flatMap((ids) => Array.from({ length: request.n ?? 1 }, () => [...ids]));
  const streams = request.stream === true;
  const begun: Array<{ finished: Promise<Answer> }> = [];
  const stop = new AbortController();
  const signal = AbortSignal.any([asking.signal, stop.signal]);
  let say: ((index: number, text: string) => void) | undefined;
  const early: [number, string][] = [];
  try {
    for (const [index, ids] of asked.entries()) {
      const answer = {
        jobId: asked.length === 1 ? id : `${id}-${index}`,
        ids,
        maxNewTokens,
        sampling: samplingOf(request, index, () => randomBytes(8).toString('hex')),
        stop: request.stop,
      };
      const onText = streams ? (text: string) => (say === undefined ? void early.push([index, text]) : say(index, text)) : undefined;
      begun.push(await beginAnswer({ ...asking, signal }, opened, generating, answer, onText));
    }
    const usageOf = (answers: readonly Answer[]): Usage => {
      const promptTokens = prompts.reduce((sum, ids) => sum + ids.length, 0);
      const completionTokens = answers.reduce((sum, { tokens }) => sum + tokens, 0);
      return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
    };
    if (!streams) {
      const answers = await Promise.all(begun.map(({ finished }) => finished));
      sendJson(response, 200, shape.whole(head, answers, usageOf(answers)), ports.limits.readMs);
      return;
    }
    const withUsage = request.stream_options?.include_usage === true;
    const stream = openStream(response, ports.limits);
    const send = (chunk: object) => stream.send(withUsage ? { ...chunk, usage: null } : chunk);
    for (const index of asked.keys()) {
      const first = shape.first(head, index);
      if (first !== null) send(first);
    }
    say = (index, text) => send(shape.piece(head, index, text));
    for (const [index, text] of early) say(index, text);
    try {
      const answers = await Promise.all(
        begun.map(async ({ finished }, index) => {
          const answer = await finished;
          send(shape.last(head, index, answer.finish));
          return answer;
        }),
      );
      if (withUsage) stream.send(shape.usage(head, usageOf(answers)));
      stream.end(true);
    } catch (thrown) {
      stop.abort();
      stream.send({ error: faultOf(thrown).error });
      stream.end(false);
    }
  } catch (thrown) {
    // The other answers are wanted by nobody then.
    stop.abort();
    throw thrown;
  }
}
