import { HearthlendError } from './contract/errors.ts';
import type { EmbeddedCoordinator, LocalModel } from './contract/jobs.ts';
import type { DecoderConfig } from './contract/model.ts';
import type { JobStatus } from './contract/network.ts';
import type { AnyEvent, EventData } from './contract/rpc.ts';
import { decodeSafetensors, encodeSafetensors } from './contract/safetensors.ts';
import type { Sampling } from './contract/sampler.ts';
import type { Limits, Shard } from './contract/shard.ts';
import type { ModelText } from './screen/current.ts';

/** Answers that are followed at once. */
const MAX_OPEN = 32;

/** A model that answers prompts, with what a decoder of its kind needs to be told. */
export interface PromptModel {
  local: LocalModel;
  decoder: DecoderConfig;
  stopTokens: number[];
  limits: Limits;
  text: ModelText;
  /** Token ids of a prompt, with the start token. @throws TEXT_TOO_LONG */
  encode(prompt: string): number[];
}

/** Prompts: each is one of the owner's own jobs, whose answer is told as it comes. */
export interface Prompts {
  /** To the practice model, where no other is given. @throws TEXT_TOO_LONG, also where the prompt leaves the model's positions no room for an answer */
  ask(question: { prompt: string; maxNewTokens: number; sampling: Sampling }, model?: PromptModel): Promise<{ jobId: string }>;
  /** The words of a job's model, while its answer is awaited. */
  textOf(jobId: string): ModelText | null;
  /** To be told of every token of every shard, and of every change of a job. */
  onToken(shard: Shard, token: number, index: number): void;
  onJob(job: JobStatus): void;
}

interface OpenAnswer {
  model: PromptModel;
  push: (token: number) => string;
  text: string;
  tokens: number;
  firstAt: number | null;
}

export function openPrompts(
  practice: PromptModel,
  intake: EmbeddedCoordinator,
  emit: (event: AnyEvent) => void,
  clock: () => number,
): Prompts {
  const open = new Map<string, OpenAnswer>();
  const tell = (jobId: string, data: Omit<EventData<'prompt.text'>, 'jobId'>) => emit({ event: 'prompt.text', data: { jobId, ...data } });

  async function finish(job: JobStatus): Promise<void> {
    const answer = open.get(job.id);
    if (answer === undefined) return;
    open.delete(job.id);
    const seconds = answer.firstAt === null ? 0 : (clock() - answer.firstAt) / 1000;
    const tokensPerSecond = answer.tokens > 1 && seconds > 0 ? (answer.tokens - 1) / seconds : null;
    if (job.state !== 'done') {
      const error = job.state === 'cancelled' ? 'CANCELLED' : (job.error?.code ?? 'JOB_FAILED');
      tell(job.id, { text: answer.text, tokens: answer.tokens, done: true, tokensPerSecond, error });
      return;
    }
    // The accepted outputs are the answer; what was streamed may be of an attempt that was given up.
    const tokens = decodeSafetensors(await intake.outputs(job.id)).get('tokens');
    const ids = tokens === undefined ? [] : Array.from(new BigInt64Array(tokens.data.slice().buffer), Number);
    const words = ids.filter((id) => !answer.model.stopTokens.includes(id));
    tell(job.id, { text: answer.model.text.decode(words), tokens: ids.length, done: true, tokensPerSecond, error: null });
  }

  return {
    async ask({ prompt, maxNewTokens, sampling }, model = practice) {
      const ids = model.encode(prompt);
      const { maxPositions } = model.decoder;
      if (ids.length >= maxPositions) {
        throw new HearthlendError('TEXT_TOO_LONG', { length: ids.length, limit: maxPositions - 1, unit: 'tokens' });
      }
      const data = new Uint8Array(BigInt64Array.from(ids, BigInt).buffer);
      const job = await intake.submitJob({
        kind: 'onnx.generate',
        model: model.local,
        inputs: encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, ids.length], data }]])),
        limits: model.limits,
        session: { intraOpThreads: 0, graphOptimization: 'all' },
        decoder: model.decoder,
        maxNewTokens: Math.min(maxNewTokens, maxPositions - ids.length),
        stopTokens: model.stopTokens,
        sampling,
      });
      const oldest = open.keys().next();
      if (open.size >= MAX_OPEN && !oldest.done) open.delete(oldest.value);
      open.set(job.id, { model, push: model.text.stream(), text: '', tokens: 0, firstAt: null });
      return { jobId: job.id };
    },
    textOf: (jobId) => open.get(jobId)?.model.text ?? null,
    onToken(shard, token, index) {
      const answer = open.get(shard.jobId);
      // A stranger may call their job as one of the owner's is called.
      if (answer === undefined || shard.origin !== 'own') return;
      // A further attempt starts again from the first token.
      if (index === 0) Object.assign(answer, { push: answer.model.text.stream(), text: '', tokens: 0, firstAt: clock() });
      answer.tokens += 1;
      if (!answer.model.stopTokens.includes(token)) answer.text += answer.push(token);
      tell(shard.jobId, { text: answer.text, tokens: answer.tokens, done: false, tokensPerSecond: null, error: null });
    },
    onJob(job) {
      if (job.state === 'queued' || job.state === 'running') return;
      finish(job).catch(() => {
        tell(job.id, { text: '', tokens: 0, done: true, tokensPerSecond: null, error: 'BLOB_MISSING' });
      });
    },
  };
}
