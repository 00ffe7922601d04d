import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';
import type { StageReply } from '../contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../contract/safetensors.ts';
import type { Tensors } from '../contract/tensor.ts';
import { cancellation, orAborted } from './cancellation.ts';
import { LoadedWorker } from './loaded-worker.ts';
import { Pace } from './pace.ts';
import { Staging } from './staging.ts';
import type { Computed, ShardTask, SupervisorOptions } from './supervisor.ts';
import { WorkerProcess } from './worker-process.ts';

export interface StageHooks {
  /** Hands in what the latest step made, and gives the next. @param step how many were computed */
  exchange(step: number, outputs: Uint8Array | null): Promise<StageReply>;
  onBegin: () => void;
  /** Told of the process in which the stage is. */
  onProcess?: (process: Pick<WorkerProcess, 'usage' | 'pid'>) => void;
  /** Aborting it kills the worker. */
  signal: AbortSignal;
}

const DIGEST_BYTES = 32;
/** Steps that one lease may compute: a token each, for as many positions as any decoder has. */
const MAX_STEPS = 1_000_000;
let opened = 0;

/**
 * Computes a stage in a worker process of its own, for as long as its generation takes: the cache lies in there, and ends with it.
 * @throws what loading and computing throw, WORKER_CRASHED, what `exchange` throws, what `signal` was aborted for
 */
export async function runStage(options: SupervisorOptions, task: ShardTask, hooks: StageHooks): Promise<Computed> {
  const { shard } = task;
  hooks.onBegin();
  if (shard.kind !== 'onnx.generate') throw new HearthlendError('WORKER_PROTOCOL', { detail: 'a run has no stages with a cache' });
  if (hooks.signal.aborted) throw cancellation(hooks.signal);
  opened += 1;
  const folder = join(options.workDir, `stage-${opened}`);
  const staging = new Staging(join(folder, 'models'));
  await staging.prepare();
  const process = new WorkerProcess(options.start, staging.modelsDir);
  hooks.onProcess?.(process);
  const worker = new LoadedWorker(process, staging, { ...options, pace: new Pace() });
  const abort = () => void process.kill(cancellation(hooks.signal)).catch(() => undefined);
  hooks.signal.addEventListener('abort', abort, { once: true });
  try {
    await process.ready;
    const loadMs = await worker.openStage(task, shard.decoder.maxPositions);
    return { ...(await stepThrough(worker, task, hooks)), loadMs };
  } finally {
    hooks.signal.removeEventListener('abort', abort);
    await process.kill(new HearthlendError('WORKER_STOPPED'));
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function stepThrough(worker: LoadedWorker, task: ShardTask, { exchange, signal }: StageHooks): Promise<Omit<Computed, 'loadMs'>> {
  const digests: Buffer[] = [];
  let [runMs, tokensMade] = [0, 0];
  let residentBytes: number | null = null;
  let outputs: Uint8Array | null = null;
  const result: Tensors = new Map();
  const gone = new AbortController();
  // Whoever is waited for meanwhile.
  void worker.process.gone.then((error) => gone.abort(error));
  const ended = AbortSignal.any([signal, gone.signal]);
  while (digests.length < MAX_STEPS) {
    const reply: StageReply = await orAborted(exchange(digests.length, outputs), ended);
    outputs = null;
    if (reply.type === 'done') {
      for (const [name, tensor] of reply.inputs === undefined ? [] : decodeSafetensors(reply.inputs)) result.set(name, tensor);
      break;
    }
    if (reply.type === 'wait') continue;
    const made = await worker.step(task, reply.tokens, reply.inputs ?? new Uint8Array(), signal);
    outputs = made.outputs;
    runMs += made.runMs;
    tokensMade += reply.tokens;
    residentBytes = made.residentBytes;
    digests.push(createHash('sha256').update(outputs).digest());
  }
  result.set('steps', { type: 'uint8', shape: [digests.length, DIGEST_BYTES], data: new Uint8Array(Buffer.concat(digests)) });
  const blob = encodeSafetensors(result);
  return { outputs: blob, commitment: createHash('sha256').update(blob).digest('hex'), runMs, tokensMade, nearTies: 0, residentBytes };
}
