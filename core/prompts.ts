import type { EmbeddedCoordinator, LocalModel } from './contract/jobs.ts';
import type { DecoderConfig } from './contract/model.ts';
import type { JobStatus } from './contract/network.ts';
import type { AnyEvent, EventData } from './contract/rpc.ts';
import { decodeSafetensors, encodeSafetensors } from './contract/safetensors.ts';
import type { Sampling } from './contract/sampler.ts';
import type { Shard } from './contract/shard.ts';
import type { ModelText } from './screen/current.ts';

const PROMPT_LIMITS = { wallMs: 120_000, memoryBytes: 4 * 2 ** 30, outputBytes: 1 << 20 };
/** Answers that are followed at once. */
const MAX_OPEN = 32;

/** The model that answers prompts, with what a decoder of its kind needs to be told. */
export interface PromptModel {
  local: LocalModel;
  decoder: DecoderConfig;
  stopTokens: number[];
  text: ModelText;
  /** Token ids of a prompt, with the start token. @throws TEXT_TOO_LONG */
  encode(prompt: string): number[];
}

/** Prompts to the practice model: each is one of the owner's own jobs, whose answer is told as it comes. */
export interface Prompts {
  ask(question: { prompt: string; maxNewTokens: number; sampling: Sampling }): Promise<{ jobId: string }>;
  /** To be told of every token of every shard, and of every change of a job. */
  onToken(shard: Shard, token: number, index: number): void;
  onJob(job: JobStatus): void;
}

export function openPrompts(
  model: PromptModel,
  intake: EmbeddedCoordinator,
  emit: (event: AnyEvent) => void,
  clock: () => number,
): Prompts {
  const open = new Map<string, { push: (token: number) => string; text: string; tokens: number; firstAt: number | null }>();
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
    const words = ids.filter((id) => !model.stopTokens.includes(id));
    tell(job.id, { text: model.text.decode(words), tokens: ids.length, done: true, tokensPerSecond, error: null });
  }

  return {
    async ask({ prompt, maxNewTokens, sampling }) {
      const ids = model.encode(prompt);
      const data = new Uint8Array(BigInt64Array.from(ids, BigInt).buffer);
      const job = await intake.submitJob({
        kind: 'onnx.generate',
        model: model.local,
        inputs: encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, ids.length], data }]])),
        limits: PROMPT_LIMITS,
        session: { intraOpThreads: 0, graphOptimization: 'all' },
        decoder: model.decoder,
        maxNewTokens: Math.min(maxNewTokens, Math.max(1, model.decoder.maxPositions - ids.length)),
        stopTokens: model.stopTokens,
        sampling,
      });
      const oldest = open.keys().next();
      if (open.size >= MAX_OPEN && !oldest.done) open.delete(oldest.value);
      open.set(job.id, { push: model.text.stream(), text: '', tokens: 0, firstAt: null });
      return { jobId: job.id };
    },
    onToken(shard, token, index) {
      const answer = open.get(shard.jobId);
      if (answer === undefined) return;
      // A further attempt starts again from the first token.
      if (index === 0) Object.assign(answer, { push: model.text.stream(), text: '', tokens: 0, firstAt: clock() });
      answer.tokens += 1;
      if (!model.stopTokens.includes(token)) answer.text += answer.push(token);
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
