import { asHearthlendError, errorOf, HearthlendError } from '../../core/contract/errors.ts';
import type { JobRequest } from '../../core/contract/jobs.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Sampling } from '../../core/contract/sampler.ts';
import type { Generating, OpenedModel } from '../../core/contract/serving.ts';
import type { Asking } from './ports.ts';
import { createTextSoFar } from './text-so-far.ts';

/** Twenty bytes a token and more for the frame of them: of any generation that a request can ask for. */
const OUTPUT_BYTES = 32 << 20;

/** One answer that was asked for. */
export interface AskedAnswer {
  jobId: string;
  ids: number[];
  maxNewTokens: number;
  sampling: Sampling;
  stop: readonly string[];
}

export interface Answer {
  text: string;
  tokens: number;
  finish: 'stop' | 'length';
}

/** @throws TEXT_TOO_LONG where the prompt leaves no position for an answer, PARAMETER_INVALID */
export function checkPrompt(ids: readonly number[], { decoder, knows }: Generating): void {
  const { maxPositions } = decoder;
  if (ids.length >= maxPositions)
    throw new HearthlendError('TEXT_TOO_LONG', { length: ids.length, limit: maxPositions - 1, unit: 'tokens' });
  const unknown = ids.find((id) => !knows(id));
  if (unknown !== undefined)
    throw new HearthlendError('PARAMETER_INVALID', { param: 'prompt', detail: `the model has no token ${unknown}` });
  if (ids.length === 0) throw new HearthlendError('PARAMETER_INVALID', { param: 'prompt', detail: 'it is empty' });
}

/**
 * Submits one answer as a job; what it gives resolves with the answer, or rejects with why there is none.
 * @param onText told of the text as it comes; left out, only the accepted answer counts, whatever was told on the way
 */
export async function beginAnswer(
  { ports, following, requester, signal }: Asking,
  opened: OpenedModel,
  generating: Generating,
  asked: AskedAnswer,
  onText: ((text: string) => void) | undefined,
): Promise<{ finished: Promise<Answer> }> {
  const { intake, log } = ports;
  const { jobId, stop } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  // Until somebody waits for it.
  promise.catch(() => undefined);
  const live = onText !== undefined || stop.length > 0;
  let soFar = createTextSoFar(generating, stop);
  let text = '';
  let diverged = false;

  const cancel = () => {
    intake
      .cancelJob(jobId)
      .catch((thrown: unknown) => log('warn', 'job-not-cancelled', { job: jobId, code: asHearthlendError(thrown).code }));
  };
  const say = (piece: string) => {
    text += piece;
    if (piece !== '') onText?.(piece);
  };
  const end = () => {
    leave();
    signal.removeEventListener('abort', onAbort);
  };
  const onAbort = () => {
    end();
    cancel();
    reject(new HearthlendError('CANCELLED'));
  };
  const fail = (thrown: unknown) => {
    end();
    reject(thrown);
  };

  async function finish(job: JobStatus): Promise<void> {
    if (job.state !== 'done') throw failureOf(job);
    const tokens = tokensOf(await intake.outputs(jobId));
    if (onText === undefined) {
      // Whatever was told on the way, nobody has read it: the accepted answer counts.
      soFar = createTextSoFar(generating, stop);
      text = '';
    }
    say(soFar.take(0, tokens));
    say(soFar.rest());
    resolve({ text, tokens: soFar.tokens, finish: soFar.finish });
  }

  const leave = following.follow(jobId, {
    onMade({ from, tokens }) {
      if (!live || diverged) return;
      try {
        say(soFar.take(from, tokens));
      } catch (thrown) {
        if (onText === undefined) diverged = true;
        else {
          fail(thrown);
          cancel();
        }
        return;
      }
      if (!soFar.stopped) return;
      end();
      if (ports.ownMachine) cancel();
      resolve({ text, tokens: soFar.tokens, finish: 'stop' });
    },
    onOver(job) {
      end();
      finish(job).catch(reject);
    },
  });
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    await intake.submitJob(requestOf(opened, generating, asked, live), { requester: requester.id, id: jobId });
    // Gone while it was submitted: nobody heard of the job's end then.
    if (signal.aborted) cancel();
  } catch (thrown) {
    end();
    throw signal.aborted ? new HearthlendError('CANCELLED') : thrown;
  }
  return { finished: promise };
}

function requestOf(opened: OpenedModel, { decoder, stopTokens }: Generating, asked: AskedAnswer, stream: boolean): JobRequest {
  const { ids, maxNewTokens, sampling } = asked;
  const data = new Uint8Array(BigInt64Array.from(ids, BigInt).buffer);
  return {
    kind: 'onnx.generate',
    model: { manifest: opened.manifest, files: opened.files },
    ...(opened.split === undefined ? {} : { split: opened.split }),
    inputs: encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, ids.length], data }]])),
    limits: { ...opened.limits, outputBytes: Math.min(opened.limits.outputBytes, OUTPUT_BYTES) },
    session: { intraOpThreads: 0, graphOptimization: 'all' },
    decoder,
    maxNewTokens: Math.min(maxNewTokens, decoder.maxPositions - ids.length),
    stopTokens,
    sampling,
    stream,
  };
}

function tokensOf(outputs: Uint8Array): number[] {
  const tokens = decodeSafetensors(outputs).get('tokens');
  return tokens === undefined ? [] : Array.from(new BigInt64Array(tokens.data.slice().buffer), Number);
}

/** Why a job brought nothing. */
export function failureOf(job: JobStatus): HearthlendError {
  if (job.state === 'cancelled') return new HearthlendError('JOB_CANCELLED', { job: job.id });
  return job.error === null ? new HearthlendError('JOB_FAILED', { job: job.id, detail: '' }) : errorOf(job.error.code, job.error.params);
}
