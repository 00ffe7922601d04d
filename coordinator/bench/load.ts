import { createHash, randomBytes } from 'node:crypto';
import { canonicalJson } from '../../core/contract/digest.ts';
import { asHearthlendError } from '../../core/contract/errors.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import { practiceCredit } from '../../core/contract/money.ts';
import type { LeaseRequest } from '../../core/contract/network.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Blobs } from '../blobs.ts';
import { createCoordinator } from '../core.ts';
import { holderOf } from '../holding.ts';
import type { ShardRecord, Store } from '../store.ts';

/** As many leases as a worker asks for at once. */
const BATCH = 4;
/** What a shard is said to have taken: short enough that a batch of them is a second's work. */
const RUN_MS = 100;

/**
 * A coordinator with work for simulated workers: each asks for leases and hands every one of them in at once. Nothing is computed and no signature made;
 * everything else is as it is for a real one.
 */
export function createLoad(networkId: string, store: Store, blobs: Blobs) {
  const outputs = encodeSafetensors(new Map([['y', { type: 'float32' as const, shape: [1], data: new Uint8Array(4) }]]));
  const commitment = createHash('sha256').update(outputs).digest('hex');
  const asset = practiceCredit(networkId);
  const terms: NetworkTerms = {
    ...{ id: networkId, operator: 'bench', contact: '', rules: '', coordinator: addressOf(0), asset, symbol: 'credits', decimals: 0 },
    ...{ prices: [{ unit: 'run', perUnit: '1', note: '' }], categories: [], isolation: ['os'], holdBackMs: 0, settlement: null },
  };
  const { service, close } = createCoordinator({
    ...{ networkId, store, blobs, terms, clock: Date.now, monotonic: () => performance.now(), random: Math.random },
    signer: { address: terms.coordinator, signDigest: () => `0x${'0'.repeat(130)}` },
    reference: { compute: async () => outputs },
    log: () => undefined,
  });
  const request: LeaseRequest = { isolation: 'os', warmModels: [], memoryBytes: 2 ** 34, practice: false, count: BATCH };

  return {
    /** Adds a job of so many shards, of the one model that there is: workers are lent at once what their history with it allows. */
    async add(shards: number): Promise<void> {
      const jobId = `bench-${randomBytes(6).toString('hex')}`;
      const file = await blobs.putBytes(Buffer.from(networkId));
      const manifest = canonicalJson({ format: 'onnx', entry: 'model.onnx', files: [{ path: 'model.onnx', ...file }] });
      const [model, inputs] = [await blobs.putBytes(Buffer.from(manifest)), await blobs.putBytes(outputs)];
      for (const holder of [holderOf.job(jobId), holderOf.model(model.digest)]) {
        await store.hold(holder, [model.digest, file.digest, inputs.digest]);
      }
      const createdAt = Date.now();
      const records = Array.from(
        { length: shards },
        (_, index): ShardRecord => ({
          shard: {
            ...{ id: `${jobId}.${index}`, jobId, network: networkId, kind: 'onnx.run', outputs: ['y'], model, inputs, origin: 'network' },
            limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 },
            session: { intraOpThreads: 1, graphOptimization: 'all' },
            price: { asset, unit: 'run', perUnit: '1' },
          },
          ...{ promptTokens: 0, state: 'queued', needs: { modelBytes: 2 ** 20 }, attempt: 0, createdAt },
        }),
      );
      const status = { network: networkId, kind: 'onnx.run', state: 'queued', createdAt, finishedAt: null } as const;
      await store.addJob({ id: jobId, ...status, shards, accepted: 0, error: null }, records);
    },
    /** One worker asks, and hands in what it gets; how long (ms) the asking took, and how many leases it brought. */
    async cycle(number: number): Promise<{ askedMs: number; leases: number }> {
      const worker = { address: addressOf(number + 1), payee: addressOf(number + 1) };
      const from = performance.now();
      const reply = await service.lease(worker, request);
      const askedMs = performance.now() - from;
      const leases = reply.type === 'lease' ? [reply.lease, ...(reply.further ?? [])] : [];
      // Together, as agents do: one that is audited waits for what another machine makes of it, and that may wait for another of these.
      await Promise.all(
        leases.map(async ({ shard, attempt }) => {
          const facts = { commitment, outputBytes: outputs.byteLength, units: 1, runMs: RUN_MS, backend: 'cpu' as const };
          for (;;) {
            try {
              return await service.submit(worker, { shardId: shard.id, attempt, ...facts }, outputs);
            } catch (thrown) {
              // It isn't known yet, and comes again.
              if (asHearthlendError(thrown).code !== 'CANCELLED') throw thrown;
            }
          }
        }),
      );
      return { askedMs, leases: leases.length };
    },
    close,
  };
}

function addressOf(number: number): string {
  return `0x${number.toString(16).padStart(40, '0')}`;
}
