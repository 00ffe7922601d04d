import { resolve } from 'node:path';
import { describeError, message } from '../../core/contract/messages.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { failureOf } from './submit.ts';

export async function runJobList({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const jobs = await reach.client.call('job.list', {});
    for (const job of jobs) terminal.emit(job);
    if (jobs.length === 0) terminal.text(message('cli.job.none'));
    else for (const line of jobLines(jobs, terminal.bold)) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runJobShow(context: Context, jobId: string): Promise<ExitCode> {
  return showJob(context, (reach) => reach.client.call('job.show', { jobId }));
}

export async function runJobCancel(context: Context, jobId: string): Promise<ExitCode> {
  return showJob(context, (reach) => reach.client.call('job.cancel', { jobId }));
}

/** Writes the outputs of a job that is done: those of one that outlived its `job submit`, say. */
export async function runJobSave({ world, terminal, dataDir }: Context, jobId: string, file: string): Promise<ExitCode> {
  const outputs = resolve(world.cwd, file);
  const reach = await reachAgent(world, dataDir);
  try {
    const saved = await reach.client.call('job.save', { jobId, outputs });
    terminal.text(message('cli.job.saved', { ...saved, path: outputs }));
    terminal.emit({ event: 'done', jobId, outputs, ...saved });
  } finally {
    await reach.close();
  }
  return 0;
}

async function showJob({ world, terminal, dataDir }: Context, ask: (reach: Reach) => Promise<JobStatus>): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const job = await ask(reach);
    terminal.emit(job);
    for (const line of jobLines([job], terminal.bold)) terminal.text(line);
    tellFailure(terminal, job);
  } finally {
    await reach.close();
  }
  return 0;
}

/** Why a job failed, if it did. */
export function tellFailure(terminal: Terminal, job: JobStatus): void {
  if (job.state !== 'failed') return;
  const { what, next } = describeError(failureOf(job));
  for (const line of ['', what, next]) terminal.text(line);
}

export function jobLines(jobs: readonly JobStatus[], bold: (text: string) => string): string[] {
  const header = ['cli.job.id', 'cli.job.kind', 'cli.job.state', 'cli.job.tasks', 'cli.job.created', 'cli.job.error'] as const;
  const rows = jobs.map((job) => [
    job.id,
    job.kind,
    message(`cli.job.state.${job.state}`),
    message('cli.job.tasks-of', { accepted: job.accepted, shards: job.shards }),
    new Date(job.createdAt).toISOString(),
    job.error?.code ?? '',
  ]);
  const [head = '', ...body] = alignColumns([header.map((key) => message(key)), ...rows]);
  return [bold(head), ...body];
}
