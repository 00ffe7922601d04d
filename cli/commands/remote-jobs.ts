import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { DescribedModel, JobRequest, ModelValue, SplitModel } from '../../core/contract/jobs.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, priceOf } from '../../core/contract/money.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import { writeNpz } from '../../core/jobs/npz.ts';
import { isText, prepareGeneration, prepareJob } from '../../core/jobs/prepare.ts';
import { estimateCost, type Requester } from '../../core/jobs/remote.ts';
import { splitJob } from '../../core/jobs/split.ts';
import { describeModel } from '../../core/models/describe.ts';
import { modelDigest } from '../../core/models/digest.ts';
import { openRequester } from '../../core/requester.ts';
import { holdSplit, SPLITS_FOLDER, splitFolder } from '../../core/splits.ts';
import { decoderOf, ownedGraph } from '../../core/splitting.ts';
import { reachAgent } from '../agent/reach.ts';
import { type Terminal, withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { jobLines, tellFailure } from './job.ts';
import { requireDone, requireWritableOutputs } from './submit.ts';

/** Where a network's job is, and with what key. */
export interface RemoteTarget {
  /** A joined network's id, or `https://HOST:PORT#sha256=…`. */
  network: string;
  /** A file with the key in it; null: HEARTHLEND_KEY. */
  keyFile: string | null;
}

export interface RemoteSubmit extends RemoteTarget {
  model: string;
  inputs: string;
  outputs: string;
  threads: number;
  wallMs: number;
  /** Null: where it is worth it. */
  split: number | null;
  /** Null: the whole model in one worker. */
  stages: number | null;
  /** Tokens that a decoder makes of a text at most; null: the usual number. */
  maxNewTokens: number | null;
  /** What is offered for a unit, and what the job may cost at most: base units. */
  price: string | null;
  maxCost: string | null;
}

const MAX_KEY_BYTES = 1024;
/** Beside three times its weights, what a worker takes for a model: its runtime and what it computes. */
const WORKER_BYTES = 2 * 2 ** 30;

/** Sends a job to a network, or takes it up where it was left, and writes its outputs. */
export async function runRemoteSubmit(context: Context, options: RemoteSubmit): Promise<ExitCode> {
  const { world, terminal } = context;
  const [model, inputs, outputs] = [options.model, options.inputs, options.outputs].map((path) => resolve(world.cwd, path)) as [
    string,
    string,
    string,
  ];
  await requireWritableOutputs(outputs, [model, inputs]);
  const requester = await open(context, options);
  const { request, declared } = await prepare(context, model, { ...options, inputs });
  const view = await requester.view();
  const shown = (amount: bigint | string) => `${formatBaseUnits(BigInt(amount), view.decimals)} ${view.symbol}`;
  const { unit, units, perUnit, cost } = estimateCost(view, request, options.price ?? undefined);
  // Before anything is sent, and again by the coordinator.
  if (options.maxCost !== null && cost > BigInt(options.maxCost)) {
    throw new HearthlendError('COST_TOO_HIGH', { cost: cost.toString(), limit: options.maxCost, symbol: view.symbol });
  }
  terminal.emit({
    event: 'job.estimate',
    network: view.network,
    asset: view.asset,
    unit,
    perUnit,
    units,
    cost: cost.toString(),
  });
  terminal.text(message('cli.job.estimate', { cost: shown(cost), unit, units, perUnit: shown(perUnit), network: view.network }));

  let uploaded = { sent: 0, total: 0 };
  const terms = {
    ...(options.price === null ? {} : { perUnit: options.price }),
    // What was said before it is sent is what it costs at most: in stages that the network decides on, it would be more.
    maxCost: options.maxCost ?? cost.toString(),
  };
  const uploadLine = () => message('cli.job.uploading', { sent: uploaded.sent, total: uploaded.total });
  const submitted = await withProgress(
    terminal,
    uploadLine,
    requester.submit(request, terms, (sent, total) => {
      uploaded = { sent, total };
      terminal.emit({ event: 'job.upload', sent, total });
    }),
  );
  terminal.emit({ event: 'job.changed', ...submitted });
  tellPrice(terminal, submitted, view);
  const job = await followed(context, requester, submitted);
  requireDone(job);
  const tensors = await requester.outputs(job, declared);
  const bytes = await writeNpz(outputs, tensors);
  const spent = job.charge === undefined ? 0n : priceOf(job.charge.units, job.charge.perUnit);
  terminal.text(message('cli.job.saved', { tensors: tensors.size, bytes, path: outputs }));
  terminal.text(message('cli.job.cost', { cost: shown(spent) }));
  terminal.emit({ event: 'done', ...job, outputs, tensors: tensors.size, bytes, cost: spent.toString() });
  return 0;
}

/** The job as it is sent, checked before anybody is asked; and what the model gives, where that is declared. */
async function prepare(
  context: Context,
  modelPath: string,
  options: RemoteSubmit & { inputs: string },
): Promise<{ request: JobRequest; declared: readonly ModelValue[] | null }> {
  const { stages, maxNewTokens, threads, wallMs } = options;
  const owned = await ownedGraph(modelPath, () => describeModel(modelPath));
  const { described } = owned;
  const plan = { modelPath, inputsPath: options.inputs, threads, wallMs, ...(maxNewTokens === null ? {} : { maxNewTokens }) };
  const ports = { describeModel: async () => described, memoryBytes: 0 };
  const text = (await isText(plan, described.inputs)) ? await decoderOf(owned) : null;
  const prepared = text === null ? await prepareJob(plan, ports) : await prepareGeneration(plan, text, ports);
  const weights = described.manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const limits = { ...prepared.limits, memoryBytes: 3 * weights + WORKER_BYTES };
  if (prepared.kind === 'onnx.run') {
    const run = { ...prepared, limits };
    if (stages === null) return { request: splitJob(run, described, options.split), declared: described.outputs };
    return { request: { ...run, split: await inStages(context, modelPath, described, stages) }, declared: described.outputs };
  }
  const request = { ...prepared, limits };
  return {
    request: stages === null ? request : { ...request, split: await inStages(context, modelPath, described, stages) },
    declared: null,
  };
}

/** The model in stages, cut by the agent of the data folder where that was not done before. */
async function inStages(context: Context, model: string, described: DescribedModel, stages: number): Promise<SplitModel> {
  const { world, terminal, dataDir } = context;
  const folder = splitFolder(join(dataDir, SPLITS_FOLDER), modelDigest(described.manifest), stages);
  // For as long as this process lives: its files are read until they are sent.
  const there = await holdSplit(folder);
  if (there !== null) return there;
  const reach = await reachAgent(world, dataDir);
  try {
    const cutting = reach.client.call('model.split', { model, stages, out: folder });
    await withProgress(terminal, () => message('cli.progress.split', { stages }), cutting);
  } finally {
    await reach.close();
  }
  const split = await holdSplit(folder);
  if (split === null) throw new HearthlendError('FILE_UNREADABLE', { path: folder, detail: 'its stages are gone' });
  return split;
}

/** Follows a job to its end; Ctrl-C cancels it, a second one leaves it to itself. */
async function followed({ world, terminal }: Context, requester: Requester, submitted: JobStatus): Promise<JobStatus> {
  const left = new AbortController();
  let presses = 0;
  const stopListening = world.signals.on(() => {
    presses += 1;
    if (presses > 1) return left.abort();
    terminal.note(message('cli.job.cancelling', { job: submitted.id }));
    requester.cancel(submitted.id).catch(() => left.abort());
  });
  const startedAt = world.clock();
  let latest = submitted;
  const line = () =>
    message('cli.progress.tasks', {
      ...{ job: latest.id, accepted: latest.accepted, shards: latest.shards },
      state: message(`cli.job.state.${latest.state}`),
      seconds: Math.round((world.clock() - startedAt) / 1000),
    });
  try {
    const follow = requester.follow(
      submitted,
      (job) => {
        latest = job;
        terminal.emit({ event: 'job.changed', ...job });
      },
      left.signal,
    );
    return await withProgress(terminal, line, follow);
  } finally {
    stopListening();
  }
}

export async function runRemoteList(context: Context, target: RemoteTarget): Promise<ExitCode> {
  const jobs = await (await open(context, target)).jobs();
  for (const job of jobs) context.terminal.emit(job);
  if (jobs.length === 0) context.terminal.text(message('cli.job.none'));
  else for (const line of jobLines(jobs, context.terminal.bold)) context.terminal.text(line);
  return 0;
}

export async function runRemoteShow(context: Context, target: RemoteTarget, id: string, cancel: boolean): Promise<ExitCode> {
  const requester = await open(context, target);
  const job = await (cancel ? requester.cancel(id) : requester.job(id));
  context.terminal.emit(job);
  for (const line of jobLines([job], context.terminal.bold)) context.terminal.text(line);
  tellFailure(context.terminal, job);
  if (job.wouldRunAt !== undefined) tellPrice(context.terminal, job, await requester.view());
  return 0;
}

/** Why a job waits that pays less than every machine asks, and what would change that. */
function tellPrice(
  terminal: Terminal,
  { wouldRunAt, charge }: JobStatus,
  { decimals, symbol }: { decimals: number; symbol: string },
): void {
  if (wouldRunAt === undefined) return;
  const price = `${formatBaseUnits(BigInt(wouldRunAt), decimals)} ${symbol}`;
  terminal.text(message('cli.job.would-run', { price, unit: charge?.unit ?? 'run', baseUnits: wouldRunAt }));
}

/** Writes the outputs of a job that is done. */
export async function runRemoteSave(context: Context, target: RemoteTarget, id: string, file: string): Promise<ExitCode> {
  const { world, terminal } = context;
  const outputs = resolve(world.cwd, file);
  await requireWritableOutputs(outputs, []);
  const requester = await open(context, target);
  const job = await requester.job(id);
  if (job.state === 'queued' || job.state === 'running') throw new HearthlendError('JOB_UNFINISHED', { job: id });
  requireDone(job);
  const tensors = await requester.outputs(job, null);
  const bytes = await writeNpz(outputs, tensors);
  terminal.text(message('cli.job.saved', { tensors: tensors.size, bytes, path: outputs }));
  terminal.emit({ event: 'done', jobId: id, outputs, tensors: tensors.size, bytes });
  return 0;
}

/** The channel, under a key that stands in no command line: those every user of the machine can read. @throws REQUESTER_KEY_MISSING, FILE_UNREADABLE */
async function open({ world, dataDir }: Context, { network, keyFile }: RemoteTarget): Promise<Requester> {
  const key = keyFile === null ? world.env.HEARTHLEND_KEY : await keyFrom(resolve(world.cwd, keyFile));
  if (key === undefined || !/^[\x21-\x7e]{1,256}$/.test(key)) throw new HearthlendError('REQUESTER_KEY_MISSING', { network });
  return openRequester({ dataDir, network, key });
}

async function keyFrom(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > MAX_KEY_BYTES) throw new Error(`it is larger than ${MAX_KEY_BYTES} bytes`);
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}
