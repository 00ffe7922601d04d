import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createCoordinator } from '../../../coordinator/core.ts';
import { createMetrics } from '../../../coordinator/metrics/metrics.ts';
import { serveWorkers } from '../../../coordinator/nats/transport.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { createVet } from '../../../core/models/vetting/vet.ts';
import { nativeWorkers } from '../../../core/supervisor/native-process.ts';
import { member } from '../../core/network/rig.ts';
import { practiceModel, sandboxed, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';
import { startFakeCoordinator } from '../../fakes/nats-coordinator.ts';
import { natsMissing } from '../../nats.ts';
import { prepare } from '../staging/prepared.ts';
import { playStages } from '../staging/stage-machine.ts';
import { Workbench } from '../workbench.ts';

beforeEach((context) => context.skip(natsMissing() !== null, natsMissing() ?? ''));

/** A real coordinator behind the nats-server, certificates and HTTPS of a fake one. */
async function studio() {
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
  const core = createCoordinator({ ...options, terms, signer, store, blobs, clock: Date.now, monotonic: () => performance.now() });
  const addressOf = (nkey: string) => `0x${Buffer.from(nkey).toString('hex').slice(2, 42)}`;
  const known = new Map<string, string>();
  const connection = await fake.rig.answering();
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
  onTestFinished(async () => {
    await core.close();
    await transport.stop();
    await connection.close();
    await store.close();
  });
  return { fake, core, blobs };
}

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
