import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SigningKey, Wallet } from 'ethers';
import type { CoordinatorSigner } from '../../coordinator/batching.ts';
import { createEmbeddedCoordinator, type EmbeddedOptions } from '../../coordinator/embedded.ts';
import type {
  EmbeddedCoordinator,
  JobRequest,
  LocalModel,
  PracticeSource,
  ReferenceTask,
  ReferenceWorker,
} from '../../core/contract/jobs.ts';
import type { LeaseRequest, SubmitReply } from '../../core/contract/network.ts';
import type { SignedBatch } from '../../core/contract/receipt.ts';
import { batchDigest } from '../../core/contract/receipt-hash.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Lease, Shard, Submission } from '../../core/contract/shard.ts';
import type { Tensor } from '../../core/contract/tensor.ts';

const NOON = new Date(2026, 4, 5, 12).getTime();
export const ASK: LeaseRequest = { isolation: 'os', warmModels: [], memoryBytes: 2 ** 32, practice: true };

export function int64(values: number[], shape = [values.length]): Tensor {
  return { type: 'int64', shape, data: new Uint8Array(BigInt64Array.from(values, BigInt).buffer) };
}

export function float32(values: number[], shape = [values.length]): Tensor {
  return { type: 'float32', shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function signer(wallet: { address: string; privateKey: string }): CoordinatorSigner {
  const key = new SigningKey(wallet.privateKey);
  return { address: wallet.address, signDigest: (digest) => key.sign(digest).serialized };
}

export const coordinatorKey = signer(Wallet.createRandom());
export const workerKey = signer(Wallet.createRandom());

/** A coordinator on a folder of its own, with clocks that stand still until they are moved. */
export class Workbench {
  readonly root = mkdtempSync(join(tmpdir(), 'hearthlend-coordinator-'));
  dir = join(this.root, 'network-0');
  now = NOON;
  monotonicMs = 1000;
  /** What the coordinator draws: 1 is never an audit, 0 always. */
  draw = 0.99;
  reference: ReferenceWorker['compute'] = async (task) => answerOf(task);
  readonly referenceTasks: ReferenceTask[] = [];
  readonly logged: string[] = [];
  readonly model: LocalModel;
  readonly #opened: EmbeddedCoordinator[] = [];
  #crashes = 0;

  constructor() {
    this.model = this.writeModel('practice.onnx', 'the practice model');
  }

  writeModel(name: string, text: string): LocalModel {
    const path = join(this.root, name);
    writeFileSync(path, text);
    const bytes = new TextEncoder().encode(text);
    const file = { path: 'model.onnx', bytes: bytes.byteLength, digest: digestOf(bytes) };
    return { manifest: { format: 'onnx', entry: 'model.onnx', files: [file] }, files: new Map([['model.onnx', path]]) };
  }

  get practice(): PracticeSource {
    return {
      model: this.model,
      decoder: { layers: 1, keyValueHeads: 1, headSize: 2, maxPositions: 16 },
      stopTokens: [0],
      task: (number) =>
        number % 4 === 3
          ? { kind: 'onnx.run', inputs: encodeSafetensors(new Map([['x', float32([number])]])), outputs: ['y'] }
          : {
              kind: 'onnx.generate',
              inputs: encodeSafetensors(new Map([['input_ids', int64([0, number + 1], [1, 2])]])),
              maxNewTokens: 8,
              sampling: { method: 'greedy' },
            },
    };
  }

  /** How a coordinator is started on this bench, whatever it stands on. */
  get options(): Required<Omit<EmbeddedOptions, 'dir' | 'auditProbability' | 'auditMs'>> {
    return {
      networkId: 'local',
      signer: coordinatorKey,
      reference: {
        compute: (task) => {
          this.referenceTasks.push(task);
          return this.reference(task);
        },
      },
      practice: this.practice,
      quota: { shardsPerDay: 200, minutesPerDay: 10 },
      clock: () => this.now,
      monotonic: () => this.monotonicMs,
      random: () => this.draw,
      leaseMs: 60_000,
      log: (_level, event) => this.logged.push(event),
    };
  }

  async open(options: Partial<EmbeddedOptions> = {}): Promise<EmbeddedCoordinator> {
    const coordinator = createEmbeddedCoordinator({ dir: this.dir, ...this.options, ...options });
    this.#opened.push(coordinator);
    await coordinator.connect({ address: workerKey.address, payee: workerKey.address });
    return coordinator;
  }

  /** What a power cut leaves: the folder as it is on the disk now. The next `open` is on it. */
  crash(): void {
    this.#crashes += 1;
    const left = join(this.root, `network-${this.#crashes}`);
    cpSync(this.dir, left, { recursive: true });
    this.dir = left;
  }

  pass(ms: number): void {
    this.now += ms;
    this.monotonicMs += ms;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#opened.map((coordinator) => coordinator.close()));
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What a worker that computes rightly hands in for a shard of the workbench. */
export function outputsOf(shard: Shard, inputs: Uint8Array): Uint8Array {
  const tensors = decodeSafetensors(inputs);
  if (shard.kind === 'onnx.generate') {
    const ids = tensors.get('input_ids')?.data ?? new Uint8Array(8);
    const last = Number(new DataView(ids.buffer, ids.byteOffset, ids.byteLength).getBigInt64(ids.byteLength - 8, true));
    const tokens = [last + 7, last + 8, 0].slice(0, shard.maxNewTokens);
    return encodeSafetensors(new Map([['tokens', int64(tokens)]]));
  }
  const x = tensors.get('x')?.data ?? new Uint8Array(4);
  const value = new DataView(x.buffer, x.byteOffset, x.byteLength).getFloat32(0, true);
  return encodeSafetensors(
    new Map((shard.outputs.length === 0 ? ['y'] : shard.outputs).map((name) => [name, float32([value, 1, 2, 3], [2, 2])])),
  );
}

/** What a reference that computes rightly answers; for claimed tokens it is told what is drawn, and how far off one that differs is. */
export function answerOf({ shard, inputs, forced }: ReferenceTask, right = outputsOf(shard, inputs), off = 1): Uint8Array {
  if (forced === undefined) return right;
  const idsOf = (blob: Uint8Array) => {
    const { data } = decodeSafetensors(blob).get('tokens') as Tensor;
    return Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
  };
  const drawn = idsOf(right);
  const claimed = idsOf(inputs);
  const shift = Float64Array.from(claimed, (token, at) => (token === drawn[at] ? 0 : off));
  const shape = [claimed.length];
  return encodeSafetensors(
    new Map<string, Tensor>([
      ['drawn', int64(claimed.map((_, at) => drawn[at] ?? 0))],
      ['shift', { type: 'float64', shape, data: new Uint8Array(shift.buffer) }],
    ]),
  );
}

export function submissionOf(lease: Lease, outputs: Uint8Array, changes: Partial<Submission> = {}): Submission {
  const tokens = lease.shard.kind === 'onnx.generate' ? (decodeSafetensors(outputs).get('tokens')?.shape[0] ?? 0) : 1;
  return {
    shardId: lease.shard.id,
    attempt: lease.attempt,
    commitment: digestOf(outputs),
    outputBytes: outputs.byteLength,
    units: tokens,
    runMs: 5,
    backend: 'cpu',
    ...changes,
  };
}

export async function takeLease(coordinator: EmbeddedCoordinator, request: Partial<LeaseRequest> = {}): Promise<Lease> {
  const reply = await coordinator.lease({ ...ASK, ...request });
  if (reply.type !== 'lease') throw new Error(`no lease: ${reply.reason.key}`);
  return reply.lease;
}

export async function inputsOf(coordinator: EmbeddedCoordinator, shard: Shard): Promise<Uint8Array> {
  const source = await coordinator.fetchBlob(shard.inputs.digest, 0);
  if (source.type !== 'file') throw new Error('not a file');
  return readFileSync(source.path);
}

/** Computes a leased shard rightly and hands it in. */
export async function handIn(coordinator: EmbeddedCoordinator, lease: Lease, changes: Partial<Submission> = {}): Promise<SubmitReply> {
  const outputs = outputsOf(lease.shard, await inputsOf(coordinator, lease.shard));
  return coordinator.submit(submissionOf(lease, outputs, changes), outputs);
}

export function runRequest(model: LocalModel, changes: Partial<Extract<JobRequest, { kind: 'onnx.run' }>> = {}): JobRequest {
  return {
    kind: 'onnx.run',
    model,
    inputs: encodeSafetensors(new Map([['x', float32([42])]])),
    outputs: [],
    limits: { wallMs: 10_000, memoryBytes: 2 ** 30, outputBytes: 1 << 20 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
    ...changes,
  };
}

export function countersignature(batch: SignedBatch): string {
  return workerKey.signDigest(batchDigest(batch.batch));
}
