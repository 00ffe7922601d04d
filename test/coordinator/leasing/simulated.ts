import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Blobs, openBlobs } from '../../../coordinator/blobs.ts';
import { type Coordinator, createCoordinator } from '../../../coordinator/core.ts';
import { holderOf } from '../../../coordinator/holding.ts';
import type { Needs } from '../../../coordinator/leasing/demand.ts';
import type { Worker } from '../../../coordinator/service.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { ShardRecord, Store } from '../../../coordinator/store.ts';
import { type BlobRef, canonicalJson } from '../../../core/contract/digest.ts';
import type { ReferenceWorker } from '../../../core/contract/jobs.ts';
import type { NetworkTerms } from '../../../core/contract/joining.ts';
import type { LeaseRequest, NetworkEvent, SubmitReply } from '../../../core/contract/network.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { digestOf, float32 } from '../workbench.ts';

export const TERMS: NetworkTerms = {
  id: 'studio',
  operator: 'A studio',
  contact: '',
  rules: '',
  coordinator: `0x${'c'.repeat(40)}`,
  asset: 'hearth:studio/credit:practice',
  symbol: 'credits',
  decimals: 0,
  prices: [
    { unit: 'run', perUnit: '10', note: '' },
    { unit: 'token', perUnit: '1', note: '' },
  ],
  categories: [{ id: 'images', title: 'Images' }],
  isolation: ['os', 'chromium'],
  holdBackMs: 0,
  settlement: null,
};

export const GB = 1e9;
const NOON = Date.UTC(2026, 4, 5, 12);
const INPUTS = encodeSafetensors(new Map([['x', float32([1])]]));
const OUTPUTS = encodeSafetensors(new Map([['y', float32([2])]]));

/** Who wants a job, what it pays for a run, and what it asks of machines. */
interface Order {
  requester?: string | null;
  perUnit?: string;
  needs?: Needs;
}

/** A worker by its number. */
export function workerOf(number: number): Worker {
  const address = `0x${(number + 1).toString(16).padStart(40, '0')}`;
  return { address, payee: address };
}

export const REQUEST: LeaseRequest = { isolation: 'os', warmModels: [], memoryBytes: 16 * GB, practice: false };

interface Options {
  leaseMs?: number;
  /** How long a machine has to take up a shard that another's result is audited by; nobody is asked where left out. */
  offerMs?: number;
  /** What the reference computes, where it isn't always the same. */
  reference?: ReferenceWorker;
  /** A store that others have too, and the bytes of all of them; its own where left out. */
  shared?: { networkId: string; store: Store; caughtUp: () => Promise<void>; blobs: Blobs; name: string };
}

/** A coordinator of a network, on clocks that stand still until they are moved. Every answer to its work is the same. */
export class SimulatedNetwork {
  readonly root: string;
  now = NOON;
  monotonicMs = 0;
  readonly store: Store;
  readonly blobs: Blobs;
  readonly coordinator: Coordinator;
  readonly told: Array<{ event: NetworkEvent; to: string | null }> = [];
  readonly #requesters = new Set<string>();
  #models = 0;
  #jobs = 0;
  #seed = 7;

  readonly #name: string;
  readonly #networkId: string;

  constructor({ shared, ...options }: Options = {}) {
    // In memory where there is such a folder: what is simulated here is no power cut.
    this.root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'hearthlend-network-'));
    this.#name = shared?.name ?? 'job';
    this.#networkId = shared?.networkId ?? TERMS.id;
    const store = shared?.store ?? openSqliteStore(join(this.root, 'coordinator.db'), this.#networkId).store;
    this.store = store;
    this.blobs = shared?.blobs ?? openBlobs(join(this.root, 'blobs'));
    this.coordinator = createCoordinator({
      networkId: this.#networkId,
      store,
      blobs: this.blobs,
      // Nobody looks at the signatures here, and each takes a millisecond.
      signer: { address: TERMS.coordinator, signDigest: () => `0x${'1'.repeat(130)}` },
      reference: { compute: async () => OUTPUTS },
      terms: { ...TERMS, id: this.#networkId },
      clock: () => this.now,
      monotonic: () => this.monotonicMs,
      random: () => this.random(),
      log: () => undefined,
      // The clocks stand still here, and so would whoever waits for another worker.
      offerMs: 0,
      ...(shared === undefined ? {} : { caughtUp: shared.caughtUp }),
      ...options,
    });
    this.coordinator.service.subscribe((event, to) => this.told.push({ event, to }));
  }

  /** Uniform in [0, 1), the same each time. Source: Park and Miller, minimal standard. */
  random(): number {
    this.#seed = (this.#seed * 48_271) % 0x7fff_ffff;
    return this.#seed / 0x7fff_ffff;
  }

  pass(ms: number): void {
    this.now += ms;
    this.monotonicMs += ms;
  }

  /** A model of its own, in place for audits. */
  async model(): Promise<BlobRef> {
    this.#models += 1;
    const file = await this.blobs.putBytes(Buffer.from(`${this.#name}: model ${this.#models}`));
    const manifest = canonicalJson({ format: 'onnx', entry: 'model.onnx', files: [{ path: 'model.onnx', ...file }] });
    const model = await this.blobs.putBytes(Buffer.from(manifest));
    // For longer than any job needs it.
    await this.store.hold(holderOf.model(model.digest), [model.digest, file.digest]);
    return model;
  }

  /** A job of so many shards, each of them the same. */
  async submit(model: BlobRef, shards: number, { requester = null, perUnit = '10', needs = {} }: Order = {}): Promise<string> {
    this.#jobs += 1;
    const id = `${this.#name}-${this.#jobs}`;
    if (requester !== null && !this.#requesters.has(requester)) {
      this.#requesters.add(requester);
      const hash = digestOf(Buffer.from(requester));
      await this.store.addRequester({ id: requester, name: requester, hash, createdAt: this.now, budget: null }, 1000);
    }
    const inputs = await this.blobs.putBytes(INPUTS);
    await this.store.hold(holderOf.job(id), [model.digest, inputs.digest]);
    const { asset } = TERMS;
    const records = Array.from(
      { length: shards },
      (_, index): ShardRecord => ({
        shard: {
          ...{
            id: `${id}.${index}`,
            jobId: id,
            network: this.#networkId,
            kind: 'onnx.run',
            outputs: ['y'],
            model,
            inputs,
            origin: 'network',
          },
          limits: { wallMs: 600_000, memoryBytes: 2 ** 40, outputBytes: 1 << 20 },
          session: { intraOpThreads: 1, graphOptimization: 'all' },
          price: { asset, unit: 'run', perUnit },
        },
        ...{ promptTokens: 0, state: 'queued', needs, attempt: 0, createdAt: this.now },
      }),
    );
    const job = { id, network: this.#networkId, kind: 'onnx.run', state: 'queued', createdAt: this.now, finishedAt: null } as const;
    const terms = { requester, asset, unit: 'run', perUnit, maxUnits: shards } as const;
    const added = await this.store.addJob({ ...job, shards, accepted: 0, error: null }, records, terms);
    if (added !== 'added') throw new Error(JSON.stringify(added));
    return id;
  }

  /** Asks for leases; none where there is no work. */
  async lease(worker: Worker, request: Partial<LeaseRequest> = {}): Promise<Lease[]> {
    const reply = await this.coordinator.service.lease(worker, { ...REQUEST, ...request });
    return reply.type === 'lease' ? [reply.lease, ...(reply.further ?? [])] : [];
  }

  /** Why there is no work; null where there is. */
  async refusal(worker: Worker, request: Partial<LeaseRequest> = {}): Promise<string | null> {
    const reply = await this.coordinator.service.lease(worker, { ...REQUEST, ...request });
    return reply.type === 'lease' ? null : reply.reason.key;
  }

  async submitResult(worker: Worker, lease: Lease, runMs: number): Promise<SubmitReply> {
    const { shard, attempt } = lease;
    const facts = { commitment: digestOf(OUTPUTS), outputBytes: OUTPUTS.byteLength, units: 1, runMs, backend: 'cpu' as const };
    return this.coordinator.service.submit(worker, { shardId: shard.id, attempt, ...facts }, OUTPUTS);
  }

  async dispose(): Promise<void> {
    await this.coordinator.close();
    await this.store.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
