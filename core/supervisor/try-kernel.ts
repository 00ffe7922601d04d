import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CPU, type Provider } from '../contract/backends.ts';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import type { StartWorker } from '../contract/worker-host.ts';
import { WorkerProcess } from './worker-process.ts';

export interface KernelRequest {
  start: StartWorker;
  /** A folder of this agent's, in which the worker's own is made for the time. */
  workDir: string;
  provider: Provider;
  /** An .onnx file's bytes, and its inputs as a safetensors blob. */
  model: Uint8Array;
  inputs: Uint8Array;
  /** How long all of it may take. */
  limitMs: number;
  signal?: AbortSignal;
}

/** Answers are safetensors blobs. Times in ms: from the start of the process to the first answer, and of a later pass alone. */
export type KernelOutcome =
  | { ok: true; answer: Uint8Array; cpuAnswer: Uint8Array; firstMs: number; runMs: number }
  /** Why not, and what the worker, its libraries and drivers said on stderr meanwhile. */
  | { ok: false; error: HearthlendError; said: string };

const MODEL = 'f'.repeat(64);
const ENTRY = 'kernel.onnx';
const SESSION = { intraOpThreads: 1, graphOptimization: 'all' } as const;
const ANSWER_BYTES = 1 << 20;

/**
 * Runs a model on a provider in a worker of its own, twice, and once on the CPU, then kills the worker. Every operator must run on that
 * provider. Never throws for what happens inside: a crash is an outcome.
 */
export async function tryKernel({ start, workDir, provider, model, inputs, limitMs, signal }: KernelRequest): Promise<KernelOutcome> {
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  const modelsDir = await mkdtemp(join(workDir, 'kernel-'));
  let worker: WorkerProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  const kill = (error: HearthlendError) => worker?.kill(error).catch(() => undefined);
  const abort = () => void kill(new HearthlendError('CANCELLED'));
  try {
    await mkdir(join(modelsDir, MODEL), { mode: 0o700 });
    await writeFile(join(modelsDir, MODEL, ENTRY), model, { mode: 0o600 });
    signal?.throwIfAborted();
    const startedAt = performance.now();
    worker = new WorkerProcess(start, modelsDir);
    timer = setTimeout(() => void kill(new HearthlendError('WORKER_TIMEOUT', { limitMs })), limitMs);
    signal?.addEventListener('abort', abort, { once: true });
    await worker.ready;
    const ask = asking(worker, inputs);
    await ask.load(1, provider);
    const { answer } = await ask.run(2, provider);
    const firstMs = performance.now() - startedAt;
    const { runMs } = await ask.run(3, provider);
    if (provider.name === CPU.name) return { ok: true, answer, cpuAnswer: answer, firstMs, runMs };
    await ask.load(4, CPU);
    return { ok: true, answer, cpuAnswer: (await ask.run(5, CPU)).answer, firstMs, runMs };
  } catch (thrown) {
    return { ok: false, error: asHearthlendError(thrown), said: worker?.stderr ?? '' };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    await worker?.kill(new HearthlendError('WORKER_STOPPED')).catch(() => undefined);
    await rm(modelsDir, { recursive: true, force: true });
  }
}

function asking(worker: WorkerProcess, inputs: Uint8Array) {
  const named = (provider: Provider) => ({ model: MODEL, session: SESSION, provider });
  return {
    async load(id: number, on: Provider): Promise<void> {
      await worker.request<'load'>({ ...named(on), id, type: 'load', entry: ENTRY, strict: on.name !== CPU.name });
    },
    async run(id: number, on: Provider): Promise<{ answer: Uint8Array; runMs: number }> {
      const { reply, body } = await worker.request<'run'>(
        { ...named(on), id, type: 'run', outputs: [], outputBytes: ANSWER_BYTES },
        inputs,
      );
      return { answer: new Uint8Array(body), runMs: reply.runMs };
    },
  };
}
