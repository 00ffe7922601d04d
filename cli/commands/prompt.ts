import { randomBytes } from 'node:crypto';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { EventData } from '../../core/contract/rpc.ts';
import type { Sampling } from '../../core/contract/sampler.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import type { Context, ExitCode } from './command.ts';
import { modelOf, requireDone } from './submit.ts';

export interface PromptOptions {
  model: string;
  prompt: string;
  maxNewTokens: number;
  /** 0: the likeliest token each time. */
  temperature: number;
  /** Null: another one each time. */
  seed: number | null;
}

type Answer = EventData<'prompt.text'>;

/** Puts a prompt to the owner's decoder on the running agent, else on one started for it, and shows the answer as it comes. */
export async function runPrompt({ world, terminal, dataDir }: Context, options: PromptOptions): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  let cancel: () => void = () => undefined;
  const stopListening = world.signals.on(() => cancel());
  const startedAt = world.clock();
  let state = message('cli.job.state.queued');
  const progress = terminal.progress(() =>
    message('cli.progress.prompt', { state, seconds: Math.round((world.clock() - startedAt) / 1000) }),
  );
  try {
    const follower = await followAnswers(reach);
    // Until there is a job: a large model takes its time to be read.
    cancel = () => follower.fail(new HearthlendError('CANCELLED'));
    const submitted = reach.client.call('prompt.run', {
      model: modelOf(world.cwd, options.model),
      prompt: options.prompt,
      maxNewTokens: options.maxNewTokens,
      sampling: samplingOf(options),
    });
    const { jobId } = await follower.orFailed(submitted);
    let presses = 0;
    cancel = () => {
      presses += 1;
      if (presses === 1) reach.client.call('job.cancel', { jobId }).catch((error: unknown) => follower.fail(error));
      else follower.fail(new HearthlendError('CANCELLED'));
    };
    let shown = '';
    const finished = follower.finished(jobId, (answer) => {
      state = message('cli.job.state.running');
      terminal.emit({ event: 'prompt.text', ...answer });
      if (answer.text.length > 0) progress.end();
      // A further attempt at the same answer begins anew: what it says again is not shown again.
      if (answer.text.length > shown.length && answer.text.startsWith(shown)) {
        terminal.piece(answer.text.slice(shown.length));
        shown = answer.text;
      }
    });
    await reach.own?.start({ shards: null, networks: ['local'], practice: false });
    const last = await finished;
    if (shown !== '') terminal.piece('\n');
    if (last.error !== null) requireDone(await reach.client.call('job.show', { jobId }));
    // What was accepted is the answer, should it differ from what was streamed.
    if (last.text !== shown) terminal.piece(`${last.text}\n`);
    if (last.tokensPerSecond !== null)
      terminal.note(message('cli.prompt.speed', { tokens: last.tokens, tokensPerSecond: last.tokensPerSecond }));
    return 0;
  } finally {
    progress.end();
    stopListening();
    await reach.close();
  }
}

function samplingOf({ temperature, seed }: PromptOptions): Sampling {
  if (temperature === 0) return { method: 'greedy' };
  const hex = seed === null ? randomBytes(8).toString('hex') : seed.toString(16).padStart(16, '0');
  return { method: 'sample', seed: hex, temperature, topK: 0, topP: 1 };
}

interface AnswerFollower {
  /** Settled with the last of the answer; `onText` is told of each, in order. */
  finished(jobId: string, onText: (answer: Answer) => void): Promise<Answer>;
  fail(error: unknown): void;
  /** The work's result, unless `fail` comes first. */
  orFailed<T>(work: Promise<T>): Promise<T>;
}

/** Listens before the prompt is put: the answer may begin before the call for it is back. */
async function followAnswers(reach: Reach): Promise<AnswerFollower> {
  const { promise, resolve: finish, reject } = Promise.withResolvers<Answer>();
  // A failure before anybody waits is told to whoever waits then.
  promise.catch(() => undefined);
  let early: Answer[] = [];
  let take = (answer: Answer): void => {
    early = [...early.filter(({ jobId }) => jobId !== answer.jobId), answer];
  };
  reach.client.on('prompt.text', (answer) => take(answer));
  reach.client.onClose(() => reject(new HearthlendError('RPC_DISCONNECTED')));
  await reach.client.call('app.watch', {});
  return {
    finished(jobId, onText) {
      take = (answer) => {
        if (answer.jobId !== jobId) return;
        onText(answer);
        if (answer.done) finish(answer);
      };
      for (const answer of early) take(answer);
      return promise;
    },
    fail: reject,
    orFailed: (work) => Promise.race([work, promise.then(() => work)]),
  };
}
