import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { createMetrics } from '../../../coordinator/metrics/metrics.ts';
import { connectNats } from '../../../coordinator/nats/connection.ts';
import { storeLogin } from '../../../coordinator/nats/keys.ts';
import { openOthers } from '../../../coordinator/nats/others.ts';
import { serveWorkers } from '../../../coordinator/nats/transport.ts';
import type { StageAsk } from '../../../coordinator/others.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { canonicalJson } from '../../../core/contract/digest.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { member } from '../../core/network/rig.ts';
import { practiceModel, sandboxed, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';
import { startFakeCoordinator } from '../../fakes/nats-coordinator.ts';
import { inProcessReference } from '../../fakes/reference.ts';
import { natsMissing } from '../../nats.ts';
import { prepare } from '../staging/prepared.ts';
import { playStages } from '../staging/stage-machine.ts';
import { ASK, digestOf, int64, Workbench } from '../workbench.ts';

beforeEach((context) => context.skip(natsMissing() !== null, natsMissing() ?? ''));

/** Real coordinators of one network behind the nats-server, certificates and HTTPS of a fake one. Each call goes to any of them. */
async function studio(coordinators = 1) {
  const fake = await startFakeCoordinator();
  await fake.mute();
  const bench = new Workbench();
  onTestFinished(() => bench.dispose());
  const folder = join(bench.root, 'studio');
  mkdirSync(folder);
  const blobs = openBlobs(join(folder, 'blobs'));
  const { store } = openSqliteStore(join(folder, 'coordinator.db'), 'studio');
  const { practice: _none, quota: _too, ...options } = { ...bench.options, networkId: 'studio' };
  const { address, signingKey } = fake.network.coordinator;
  const signer = { address, signDigest: (digest: string) => signingKey.sign(digest).serialized };
  const terms = { ...fake.terms, prices: [{ unit: 'token' as const, perUnit: '1', note: '' }] };
  const addressOf = (nkey: string) => `0x${Buffer.from(nkey).toString('hex').slice(2, 42)}`;
  const known = new Map<string, string>();
  const started = await Promise.all(Array.from({ length: coordinators }, start));
  onTestFinished(async () => {
    for (const { close } of started) await close();
    await store.close();
  });

  async function start() {
    const connection = await fake.rig.answering();
    const storing = await connectNats(fake.rig.address(), await storeLogin(fake.rig.credentials), 'store');
    const others = openOthers(storing, 'studio', () => undefined);
    const passedOn: StageAsk[] = [];
    const core = createCoordinator({
      ...{ ...options, terms, signer, store, blobs, clock: Date.now, monotonic: () => performance.now() },
      // Every stage is audited.
      reference: inProcessReference(temporaryFolder()),
      others: {
        ...others,
        exchange(coordinator, asked, outputs) {
          passedOn.push(asked);
          return others.exchange(coordinator, asked, outputs);
        },
      },
    });
    const transport = serveWorkers({
      ...{ connection, service: core.service, version: '0.1.0', log: () => undefined, metrics: createMetrics() },
      blobAccess: () => ({ token: 'token', expiresAt: Date.now() + 600_000, urls: [`https://${fake.at}`] }),
      takeUpload: async (_worker, digest) => {
        throw new HearthlendError('BLOB_MISSING', { digest });
      },
      uploadDone: () => undefined,
      async workerOf(nkey) {
        known.set(addressOf(nkey), nkey);
        return { address: addressOf(nkey), payee: addressOf(nkey) };
      },
      nkeyOf: async (address) => known.get(address) ?? null,
    });
    await Promise.all([connection.flush(), storing.flush()]);
    const close = async () => {
      await core.close();
      await transport.stop();
      await connection.close();
      await storing.close();
    };
    return { core, passedOn, close };
  }

  const [{ core }] = started as [(typeof started)[number]];
  return { fake, core, blobs, bench, started };
}

/** As many as make the logits of one token larger than a message. */
const VOCABULARY = 150_000;

test('logits of a large vocabulary come in parts, whichever of two coordinators is asked; who reads along at either hears each token', async () => {
  const { fake, core, bench, started } = await studio(2);
  const { manifest, files } = bench.writeModel('stage.onnx', 'a stage');
  const digest = digestOf(new TextEncoder().encode(canonicalJson(manifest)));
  const decoder = { layers: 1, keyValueHeads: 1, headSize: 2, maxPositions: 16 };
  const ids = { name: 'input_ids', type: 'int64' as const, shape: ['batch', 'tokens'], from: 'job' as const };
  const logits = { name: 'logits', type: 'float32' as const, shape: ['batch', 'tokens', VOCABULARY], to: 'job' as const };
  const heard = started.map(({ core: each }) => {
    const tokens: number[] = [];
    const all = Promise.withResolvers<number[]>();
    each.intake.onMade((made) => {
      expect(made.from).toBe(tokens.length);
      if (tokens.push(...made.tokens) === 3) all.resolve(tokens);
    });
    return all.promise;
  });
  const { id } = await core.intake.submitJob({
    ...{
      kind: 'onnx.generate',
      model: bench.model,
      decoder,
      stopTokens: [0],
      maxNewTokens: 3,
      sampling: { method: 'greedy' },
      stream: true,
    },
    inputs: encodeSafetensors(new Map([['input_ids', int64([1, 2], [1, 2])]])),
    limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 26 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
    split: {
      files,
      manifest: {
        ...{ format: 'hearthlend-split', version: 1, model: digest, decoder, stopTokens: [0] },
        stages: [{ digest, manifest, layers: [0], inputs: [ids], outputs: [logits], weightBytes: 1 }],
        check: { against: 'whole', runs: 1, distance: 0 },
      },
    },
  });
  const { network, connect } = await member(fake);
  await connect();
  const reply = await network.lease({ ...ASK, practice: false, stages: 1 });
  if (reply.type !== 'lease') throw new Error('nothing was lent');
  const { shard, attempt } = reply.lease;
  const exchange = (step: number, outputs: Uint8Array | null) =>
    network.exchange?.(shard.id, attempt, step, outputs) ?? Promise.reject(new Error('it takes no steps'));
  const choosing = (token: number) => {
    const values = new Float32Array(VOCABULARY);
    values[token] = 1;
    const tensor = { type: 'float32' as const, shape: [1, 1, VOCABULARY], data: new Uint8Array(values.buffer) };
    return encodeSafetensors(new Map([['logits', tensor]]));
  };
  expect(await exchange(0, null)).toMatchObject({ type: 'step', tokens: 2 });
  for (const [at, token] of [5, 149_999, 9].entries()) {
    expect(await exchange(at + 1, choosing(token))).toMatchObject({ type: at < 2 ? 'step' : 'done' });
  }
  expect(await Promise.all(heard)).toEqual([
    [5, 149_999, 9],
    [5, 149_999, 9],
  ]);
  // The one that was asked first drives it; what the other was asked it has passed on, if it was asked anything.
  expect(started.filter(({ passedOn }) => passedOn.length > 0).length).toBeLessThan(2);
  expect((await core.intake.job(id))?.state).toBe('running');
});

test('two machines behind NATS compute a stage each, and a third replaces one that is lost, with the tokens of the whole model', async () => {
  const prompt = [0, ...Buffer.from('light (noun): a')].map((byte) => byte % 250);
  const { request, expected } = await prepare(practiceModel, join(dirname(practiceModel), '..'), 2, prompt, 24);
  const { fake, core, blobs } = await studio();
  const { id } = await core.intake.submitJob(request);
  const stages = request.split?.manifest.stages ?? [];
  const wanted = stages.flatMap(({ digest, manifest: { files } }) => [digest, ...files.map((file) => file.digest)]);
  for (const digest of wanted) fake.blobs.set(digest, await readFile(await blobs.path(digest)));
  const machines = await Promise.all([member(fake), member(fake), member(fake)]);
  const isDone = async () => (await core.intake.job(id))?.state === 'done';
  let lost = false;
  const leases = await Promise.all(
    machines.map(async ({ network, connect }, machine) => {
      await connect();
      const worker = {
        workDir: temporaryFolder(),
        start: nativeWorkers(sandboxed),
        modelMemoryBytes: 2 ** 30,
        vet: createVet(),
        clock: Date.now,
      };
      return playStages(network, {
        ...{ worker, room: 1, until: isDone },
        onStep: (_lease, step, kill) => {
          if (machine !== 0 || step !== 9 || lost) return;
          lost = true;
          kill();
        },
      });
    }),
  );
  expect(lost).toBe(true);
  expect(
    leases
      .flat()
      .map(({ attempt }) => attempt)
      .sort(),
  ).toEqual([1, 1, 2]);
  expect(tokensOf(await core.intake.outputs(id))).toEqual(expected);
});
