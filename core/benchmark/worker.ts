import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendName } from '../contract/backends.ts';
import { canonicalJson } from '../contract/digest.ts';
import type { GpuId } from '../contract/hardware.ts';
import type { LocalModel } from '../contract/jobs.ts';
import type { DecoderConfig, ModelManifest } from '../contract/model.ts';
import { encodeSafetensors } from '../contract/safetensors.ts';
import type { Shard } from '../contract/shard.ts';
import type { Kernel } from './kernels.ts';

/** What a run took in the worker, in ms. `loadMs` is null where the model was loaded already. */
interface Ran {
  runMs: number;
  loadMs: number | null;
  tokensMade: number;
  /** A safetensors blob. */
  outputs: Uint8Array;
}

/** A worker of its own on one backend, behind the wall that work is computed behind. */
export interface BenchmarkWorker {
  readonly backend: BackendName;
  readonly gpu: GpuId | null;
  /** Memory that models may take of its device. */
  readonly memoryBytes: number;
  run(shard: Shard, model: LocalModel, inputs: Uint8Array, signal: AbortSignal): Promise<Ran>;
  /** Ends the process; the next run starts another, with nothing loaded. */
  stop(): Promise<unknown>;
  dispose(): Promise<void>;
  /** Of the ONNX Runtime in it; null before the first run. */
  onnxruntime(): string | null;
}

/** The practice model, and a prompt for it. */
export interface PracticeModel {
  local: LocalModel;
  decoder: DecoderConfig;
  prompt: readonly number[];
  /** The words of some tokens. */
  decode(tokens: readonly number[]): string;
}

/** One run may take so long: on a renderer in software nothing is quick. */
const RUN_MS = 20_000;
const MEMORY_BYTES = 4 * 2 ** 30;

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

function shardBase(manifest: ModelManifest, inputs: Uint8Array, outputBytes: number) {
  const canonical = canonicalJson(manifest);
  return {
    id: 'benchmark',
    jobId: 'benchmark',
    network: 'benchmark',
    model: { digest: sha256(canonical), bytes: Buffer.byteLength(canonical) },
    inputs: { digest: sha256(inputs), bytes: inputs.byteLength },
    limits: { wallMs: RUN_MS, memoryBytes: MEMORY_BYTES, outputBytes },
    session: { intraOpThreads: 0, graphOptimization: 'all' as const },
    price: { asset: 'hearth:benchmark/credit:practice', unit: 'run' as const, perUnit: '0' },
    origin: 'own' as const,
  };
}

/** A kernel's model on disk, ready to be run again and again. Close removes it. */
export function stageKernel(dir: string, name: string, kernel: Kernel) {
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'model.onnx');
  writeFileSync(path, kernel.model);
  const file = { path: 'model.onnx', bytes: kernel.model.byteLength, digest: sha256(kernel.model) };
  const manifest: ModelManifest = { format: 'onnx', entry: 'model.onnx', files: [file] };
  const data = new Uint8Array(new Float32Array(kernel.inputFloats).fill(1).buffer);
  const inputs = encodeSafetensors(new Map([['x', { type: 'float32', shape: [kernel.inputFloats], data }]]));
  const shard: Shard = { ...shardBase(manifest, inputs, 4 * kernel.outputFloats + 4096), kind: 'onnx.run', outputs: ['y'] };
  const model: LocalModel = { manifest, files: new Map([['model.onnx', path]]) };
  return {
    run: (worker: BenchmarkWorker, signal: AbortSignal) => worker.run(shard, model, inputs, signal),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The practice model, asked to go on with its prompt for so many tokens. */
export function stagePractice({ local, decoder, prompt }: PracticeModel, tokens: number) {
  const data = new Uint8Array(BigInt64Array.from(prompt, BigInt).buffer);
  const inputs = encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, prompt.length], data }]]));
  const shard: Shard = {
    ...shardBase(local.manifest, inputs, 1 << 20),
    kind: 'onnx.generate',
    decoder,
    maxNewTokens: Math.min(tokens, decoder.maxPositions - prompt.length),
    stopTokens: [],
    sampling: { method: 'greedy' },
  };
  return { run: (worker: BenchmarkWorker, signal: AbortSignal) => worker.run(shard, local, inputs, signal) };
}
