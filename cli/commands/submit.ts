import { constants, existsSync } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ERROR_CODES, type ErrorCode, HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { isRemote } from './model.ts';

export interface SubmitOptions {
  model: string;
  inputs: string;
  outputs: string;
  /** 0: as many as the agent gives. */
  threads: number;
  wallMs: number;
  /** Null: the whole model in one worker. */
  stages: number | null;
  /** Tokens that a decoder makes of a text at most; null: as many as the agent gives. */
  maxNewTokens: number | null;
  /** Tasks that a batch is split into; null: where that is worth it. */
  split: number | null;
}

/** Runs a model on the running agent, else on one started for it, and writes its outputs. */
export async function runSubmit({ world, terminal, dataDir }: Context, options: SubmitOptions): Promise<ExitCode> {
  const [model, inputs, outputs] = [
    modelOf(world.cwd, options.model),
    resolve(world.cwd, options.inputs),
    resolve(world.cwd, options.outputs),
  ];
  await requireWritableOutputs(outputs, [model, inputs]);
  const reach = await reachAgent(world, dataDir);
  let cancel: () => void = () => undefined;
  const stopListening = world.signals.on(() => cancel());
  try {
    const follower = await followJobs(reach);
    const submitted = await reach.client.call('job.submit', {
      model,
      inputs,
      threads: options.threads,
      wallMs: options.wallMs,
      ...(options.split === null ? {} : { split: options.split }),
      ...(options.stages === null ? {} : { stages: options.stages }),
      ...(options.maxNewTokens === null ? {} : { maxNewTokens: options.maxNewTokens }),
    });
    const { id } = submitted;
    reach.client.onClose(() => follower.fail(id, new HearthlendError('JOB_LEFT', { job: id })));
    terminal.emit({ event: 'job.changed', ...submitted });
    let presses = 0;
    cancel = () => {
      presses += 1;
      if (presses === 1) terminal.note(message('cli.job.cancelling', { job: id }));
      if (presses === 1) reach.client.call('job.cancel', { jobId: id }).catch((error: unknown) => follower.fail(id, error));
      else follower.fail(id, new HearthlendError('CANCELLED'));
    };
    const startedAt = world.clock();
    let latest = submitted;
    const finished = follower.finished(submitted, (status) => {
      latest = status;
      terminal.emit({ event: 'job.changed', ...status });
    });
    await reach.own?.start({ shards: null, networks: ['local'], practice: false });
    const line = () =>
      message('cli.progress.job', {
        job: id,
        state: message(`cli.job.state.${latest.state}`),
        seconds: Math.round((world.clock() - startedAt) / 1000),
      });
    const job = await withProgress(terminal, line, finished);
    requireDone(job);
    const saved = await reach.client.call('job.save', { jobId: id, outputs });
    terminal.text(message('cli.job.saved', { tensors: saved.tensors, bytes: saved.bytes, path: outputs }));
    terminal.emit({ event: 'done', ...job, outputs, tensors: saved.tensors, bytes: saved.bytes });
    return 0;
  } finally {
    stopListening();
    await reach.close();
  }
}

/** What is there is a path from here; a model that was added goes by its name or digest. */
export function modelOf(cwd: string, model: string): string {
  const path = resolve(cwd, model);
  return isRemote(model) || (/^[^/\\]+$/.test(model) && !existsSync(path)) ? model : path;
}

/** Hours of computing must not end at a folder that isn't there, nor at the file that they began with. @throws FILE_UNWRITABLE, USAGE */
export async function requireWritableOutputs(path: string, others: readonly string[]): Promise<void> {
  await access(dirname(path), constants.W_OK).catch((cause: Error) => {
    throw new HearthlendError('FILE_UNWRITABLE', { path, detail: cause.message }, { cause });
  });
  if (await isOneOf(path, others)) throw new HearthlendError('USAGE', { detail: message('cli.usage.outputs', { path }) });
}

/** Whether a file that is there is one of the others, by whatever name. */
async function isOneOf(path: string, others: readonly string[]): Promise<boolean> {
  const [here, ...there] = await Promise.all([path, ...others].map((each) => realpath(each).catch(() => null)));
  return typeof here === 'string' && there.includes(here);
}

interface JobFollower {
  /** Settled when the job is over, or `fail` was called; `onChange` is told of every state until then. */
  finished(job: JobStatus, onChange: (job: JobStatus) => void): Promise<JobStatus>;
  fail(jobId: string, error: unknown): void;
}

/** Listens before the job is submitted: it may be over before the answer to its submission is here. */
async function followJobs(reach: Reach): Promise<JobFollower> {
  const seen = new Map<string, JobStatus>();
  const waiting = new Map<
    string,
    { onChange: (job: JobStatus) => void; resolve: (job: JobStatus) => void; reject: (error: unknown) => void }
  >();
  reach.client.on('job.changed', (job) => {
    const waiter = waiting.get(job.id);
    if (waiter === undefined) seen.set(job.id, job);
    else {
      waiter.onChange(job);
      if (isOver(job)) waiter.resolve(job);
    }
  });
  await reach.client.call('app.watch', {});
  return {
    finished: (job, onChange) =>
      new Promise((resolve, reject) => {
        waiting.set(job.id, { onChange, resolve, reject });
        const latest = seen.get(job.id) ?? job;
        if (latest.state !== job.state) onChange(latest);
        if (isOver(latest)) resolve(latest);
        seen.clear();
      }),
    fail: (jobId, error) => waiting.get(jobId)?.reject(error),
  };
}

function isOver(job: JobStatus): boolean {
  return job.state === 'done' || job.state === 'failed' || job.state === 'cancelled';
}

/** @throws the job's own error, JOB_FAILED, JOB_CANCELLED */
export function requireDone(job: JobStatus): void {
  if (job.state === 'cancelled') throw new HearthlendError('JOB_CANCELLED', { job: job.id });
  if (job.state === 'failed') throw failureOf(job);
}

/** Why a job failed. */
export function failureOf(job: JobStatus): HearthlendError {
  const code = job.error?.code ?? '';
  if ((ERROR_CODES as readonly string[]).includes(code)) return new HearthlendError(code as ErrorCode, job.error?.params ?? {});
  return new HearthlendError('JOB_FAILED', { job: job.id, detail: code });
}
