import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { CPU, type Provider } from '../../../core/contract/backends.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import type { ModelManifest } from '../../../core/contract/model.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { GenerateShard, RunShard } from '../../../core/contract/shard.ts';
import type { Tensor, Tensors, TensorType } from '../../../core/contract/tensor.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { detectWall } from '../../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../../core/supervisor/sandbox/needs.ts';
import { type Launch, planBare, planLaunch } from '../../../core/supervisor/sandbox/plan.ts';
import { createSupervisor, type ShardTask, type Supervisor, type SupervisorOptions } from '../../../core/supervisor/supervisor.ts';

export const root = join(import.meta.dirname, '../../..');
export const practiceModel = join(root, 'resources/models/wordnet-lm/onnx/model.onnx');
export const practiceDecoder = { layers: 6, keyValueHeads: 6, headSize: 32, maxPositions: 128 };

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-worker-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

type Launcher = Parameters<typeof nativeWorkers>[0];
export const needs = await resolveNeeds({
  nodePath: process.execPath,
  scriptPath: join(root, 'dist/worker/native.mjs'),
  modelsDir: tmpdir(),
  scratchBytes: 1 << 20,
  heapMiB: 512,
});
export const wall = await detectWall(needs);

/** As the agent starts it here: behind the best wall that this machine has. */
export const sandboxed: Launcher = ({ modelsDir }) => planLaunch(wall, { ...needs, modelsDir });
export const bare: Launcher = ({ modelsDir }) => planBare({ ...needs, modelsDir });
/** test/fakes/workers/hostile.mjs instead of the real worker, with the behaviour that it is to show. */
export function hostile(behaviour: string): () => Launch {
  const args = [fileURLToPath(new URL('../../fakes/workers/hostile.mjs', import.meta.url)), behaviour];
  return () => ({ ...planBare(needs), args, env: {}, inputs: [] });
}

export type Bench = Supervisor & { workDir: string };

/** A supervisor that is disposed of when the test ends. */
export function supervise({ launch = sandboxed, ...options }: Partial<SupervisorOptions> & { launch?: Launcher } = {}): Bench {
  const workDir = temporaryFolder();
  const supervisor = createSupervisor({
    workDir,
    start: nativeWorkers(launch),
    modelMemoryBytes: 2 ** 30,
    vet: createVet(),
    clock: Date.now,
    ...options,
  });
  onTestFinished(() => supervisor.dispose());
  return Object.assign(supervisor, { workDir });
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A model's files on disk as the agent's model store would hand them over. */
export function storeModel(files: Record<string, Uint8Array>, entry = 'model.onnx'): ShardTask['model'] {
  const folder = temporaryFolder();
  const paths = new Map<string, string>();
  const listed: ModelManifest['files'] = [];
  for (const [path, bytes] of Object.entries(files)) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
    paths.set(path, target);
    listed.push({ path, bytes: bytes.byteLength, digest: sha256(bytes) });
  }
  const manifest: ModelManifest = { format: 'onnx', entry, files: listed };
  return { digest: sha256(Buffer.from(canonicalJson(manifest))), manifest, files: paths };
}

export function storePracticeModel(): ShardTask['model'] {
  return storeModel({ 'onnx/model.onnx': readFileSync(practiceModel) }, 'onnx/model.onnx');
}

interface TaskOptions {
  outputs?: string[];
  wallMs?: number;
  memoryBytes?: number;
  outputBytes?: number;
  intraOpThreads?: number;
  threads?: number;
  provider?: Provider;
}

function shardBase(model: ShardTask['model'], inputs: Uint8Array, options: TaskOptions) {
  return {
    id: 'shard-1',
    jobId: 'job-1',
    network: 'local',
    model: { digest: model.digest, bytes: canonicalJson(model.manifest).length },
    inputs: { digest: sha256(inputs), bytes: inputs.byteLength },
    limits: {
      wallMs: options.wallMs ?? 20_000,
      memoryBytes: options.memoryBytes ?? 2 ** 31,
      outputBytes: options.outputBytes ?? 2 ** 24,
    },
    session: { intraOpThreads: options.intraOpThreads ?? 0, graphOptimization: 'all' as const },
    price: { asset: 'hearth:local/credit:practice', unit: 'run' as const, perUnit: '1' },
    origin: 'own' as const,
  };
}

export function runTask(model: ShardTask['model'], inputs: Tensors | Uint8Array, options: TaskOptions = {}): ShardTask {
  const blob = inputs instanceof Uint8Array ? inputs : encodeSafetensors(inputs);
  const shard = RunShard.parse({ ...shardBase(model, blob, options), kind: 'onnx.run', outputs: options.outputs ?? [] });
  return { shard, model, inputs: blob, threads: options.threads ?? 1, provider: options.provider ?? CPU };
}

interface GenerateOptions extends TaskOptions {
  maxNewTokens?: number;
  stopTokens?: number[];
  sampling?: GenerateShard['sampling'];
  decoder?: GenerateShard['decoder'];
}

export function generateTask(model: ShardTask['model'], prompt: number[], options: GenerateOptions = {}): ShardTask {
  const blob = encodeSafetensors(new Map([['input_ids', int64([1, prompt.length], prompt)]]));
  const shard = GenerateShard.parse({
    ...shardBase(model, blob, options),
    kind: 'onnx.generate',
    decoder: options.decoder ?? practiceDecoder,
    maxNewTokens: options.maxNewTokens ?? 60,
    stopTokens: options.stopTokens ?? [0],
    sampling: options.sampling ?? { method: 'greedy' },
  });
  return { shard, model, inputs: blob, threads: options.threads ?? 1, provider: options.provider ?? CPU };
}

/** A tensor over the bytes of a typed array. */
export function tensorOf(type: TensorType, shape: number[], elements: ArrayBufferView): Tensor {
  return { type, shape, data: new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength) };
}
export const int64 = (shape: number[], values: number[]): Tensor => tensorOf('int64', shape, BigInt64Array.from(values, BigInt));
export const float32 = (shape: number[], values: ArrayLike<number>): Tensor => tensorOf('float32', shape, Float32Array.from(values));

export function tokensOf(outputs: Uint8Array): number[] {
  const { data } = decodeSafetensors(outputs).get('tokens') as Tensor;
  return Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
}

/** The code and parameters of the HearthlendError that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<{ code: string; params: Record<string, string | number> }> {
  return promise.then(
    () => ({ code: 'none', params: {} }),
    (error) => ({ code: error.code, params: error.params }),
  );
}
