import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Network, StageReply } from '../../../core/contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Sampling } from '../../../core/contract/sampler.ts';
import type { GenerateShard } from '../../../core/contract/shard.ts';
import type { Tensor } from '../../../core/contract/tensor.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { practiceModel, sandboxed, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';
import { inProcessReference } from '../../fakes/reference.ts';
import { TERMS, workerOf } from '../leasing/simulated.ts';
import { ASK, Workbench } from '../workbench.ts';
import { prepare } from './prepared.ts';
import { playStages } from './stage-machine.ts';

const prompt = [0, ...Buffer.from('light (noun): a')].map((byte) => byte % 250);
const practiceFolder = join(dirname(practiceModel), '..');
const MEMBERS = [11, 12, 13];

/** A network of strangers that audits every stage by a real reference. */
async function studio() {
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const folder = join(bench.root, 'studio');
  mkdirSync(join(folder, 'reference'), { recursive: true });
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const { practice: _none, quota: _too, ...options } = bench.options;
  const core = createCoordinator({
    ...{ ...options, networkId: 'studio', terms: TERMS, store, blobs, clock: Date.now, monotonic: () => performance.now() },
    reference: inProcessReference(join(folder, 'reference')),
    random: Math.random,
  });
  onTestFinished(async () => {
    await core.close();
    await store.close();
  });
  const networkOf = (number: number): Network => {
    const worker = workerOf(number);
    const { service } = core;
    return {
      id: 'studio',
      connect: () => service.connect(worker),
      lease: (request) => service.lease(worker, request),
      progress: (shardId, attempt, fraction) => service.progress(worker, { shardId, attempt }, fraction),
      exchange: (shardId, attempt, step, outputs) => service.exchange(worker, { shardId, attempt }, step, outputs),
      fetchBlob: async (digest) => ({ type: 'file', path: await blobs.path(digest) }),
      submit: (submission, outputs) => service.submit(worker, submission, outputs),
      release: (shardId, attempt, reason, code, params = {}) =>
        service.release(worker, { shardId, attempt }, reason, code === null ? null : { code, params }),
      receiptsSince: (sequence) => service.receiptsSince(worker, sequence, 100),
      pendingBatches: async () => [],
      countersign: async () => undefined,
      subscribe: () => () => undefined,
      close: async () => undefined,
    };
  };
  return { core, store, networks: MEMBERS.map(networkOf) };
}

/** Hands in of this stage what it was handed, as if it had changed nothing; of the last one other logits. */
function lying(network: Network, index: number): Network {
  const handed = new Map<string, Tensor>();
  const wrong = new Set<string>();
  return {
    ...network,
    async lease(request) {
      const reply = await network.lease(request);
      if (reply.type === 'lease' && (reply.lease.shard as GenerateShard).stage?.index === index) wrong.add(reply.lease.shard.id);
      return reply;
    },
    async exchange(shardId, attempt, step, outputs) {
      let given = outputs;
      if (outputs !== null && wrong.has(shardId)) {
        const [[name, tensor]] = [...decodeSafetensors(outputs)] as [[string, Tensor]];
        const values = new Float32Array(Uint8Array.from(tensor.data).buffer).toReversed();
        const lie = name === 'logits' ? { ...tensor, data: new Uint8Array(values.buffer) } : (handed.get(shardId) as Tensor);
        given = encodeSafetensors(new Map([[name, lie]]));
      }
      const reply = (await network.exchange?.(shardId, attempt, step, given)) as StageReply;
      if (reply.inputs !== undefined && reply.type === 'step')
        handed.set(shardId, [...decodeSafetensors(reply.inputs).values()][0] as Tensor);
      return reply;
    },
  };
}

const SAMPLE: Sampling = { method: 'sample', seed: '00000000075bcd15', temperature: 0.9, topK: 40, topP: 0.95 };

test.each([
  ['in the middle', 1, { method: 'greedy' }, /^step 0: .* differs by/],
  ['at the end', 2, SAMPLE, /^token 0 is \d+ where \d+ is drawn/],
] as const)(
  'a stage %s that lies is found out and blamed, its honest neighbours are not, and the generation is made anew with the right tokens',
  async (_where, index, sampling, why) => {
    const { request, expected } = await prepare(practiceModel, practiceFolder, 3, prompt, 12, sampling);
    const { core, store, networks } = await studio();
    const { id } = await core.intake.submitJob(request);
    // A stage each, in this order.
    const began: Network[] = [];
    for (const network of networks.with(index, lying(networks[index] as Network, index))) {
      const reply = await network.lease({ ...ASK, practice: false, stages: 1 });
      began.push({ ...network, lease: async (asked: Parameters<Network['lease']>[0]) => taken.splice(0, 1)[0] ?? network.lease(asked) });
      const taken = [reply];
    }
    const worker = {
      workDir: temporaryFolder(),
      start: nativeWorkers(sandboxed),
      modelMemoryBytes: 2 ** 30,
      vet: createVet(),
      clock: Date.now,
    };
    const until = async () => (await core.intake.job(id))?.state === 'done';
    await Promise.all(
      began.map((network, at) =>
        playStages(network, { worker: { ...worker, workDir: temporaryFolder() }, room: at === index ? 1 : 3, until }),
      ),
    );
    expect(tokensOf(await core.intake.outputs(id))).toEqual(expected);
    expect(MEMBERS.map((number) => store.standing(workerOf(number).address).bad > 0)).toEqual([0, 1, 2].map((at) => at === index));
    const report = await core.service.audits(workerOf(MEMBERS[index] as number));
    expect(report.recent.at(-1)).toMatchObject({ outcome: 'bad', detail: expect.stringMatching(why) });
    expect((await store.appeals(10)).at(-1)).toMatchObject({ worker: workerOf(MEMBERS[index] as number).address, bytesKept: true });
    // Who made what was accepted is paid for it, and nobody else.
    expect(await core.intake.job(id)).toMatchObject({ state: 'done', accepted: 3 });
  },
);
