import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { request as openRequest } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jwtAuthenticator, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { operate } from '../../cli/operator/operate.ts';
import type { Operated } from '../../cli/operator/request.ts';
import { appPorts } from '../../cli/ports/app-ports.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import type { LocalModel } from '../../core/contract/jobs.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Lease, Submission } from '../../core/contract/shard.ts';
import { openIdentity } from '../../core/identity/identity.ts';
import { describeModel } from '../../core/models/describe.ts';
import { joinNetwork, readLink, readTerms } from '../../core/network/joining.ts';
import { openReference } from '../../core/reference.ts';
import { frame, unframe } from '../coordinator/nats/rig.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import { natsMissing } from '../nats.ts';
import { temporaryFolder } from './program.ts';

/** A member of the network that speaks for itself: raw NATS, raw HTTPS, with all that it was given and nothing else. */
interface Raw {
  nkey: string;
  address: string;
  connection: NatsConnection;
  ask(call: string, header: unknown, body?: Uint8Array): Promise<ReturnType<typeof unframe>>;
}

const missing = natsMissing();
const installation = findInstallation(fileURLToPath(import.meta.url));
const version = installation.version;
let operated: Operated;
let victim: Raw;
let hostile: Raw;
let ca: string;
let https: string;
let model: LocalModel;
let inputs: Uint8Array;
let lease: Lease;
let outputs: Uint8Array;

beforeAll(async () => {
  if (missing !== null) return;
  const root = temporaryFolder('hostile');
  operated = await operate(
    {
      ...{
        dir: join(root, 'operator'),
        version,
        name: null,
        operator: null,
        terms: null,
        port: 0,
        websocket: false,
        restoreLog: false,
        models: [],
      },
      ...{ advertise: ['127.0.0.1'], nats: null, announced: false },
    },
    installation,
  );
  https = (await operated.handlers.status({})).https[0] as string;
  [victim, hostile] = await Promise.all([member(), member()]);
  const [first] = modelCases();
  for (const [path, bytes] of Object.entries(first?.files ?? {})) writeFileSync(join(root, path), bytes);
  model = await describeModel(join(root, 'model.onnx'));
  inputs = encodeSafetensors(first?.inputs ?? new Map());
  await operated.intake.submitJob({
    ...{ kind: 'onnx.run', model, inputs, outputs: [] },
    limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
  });
  const asked = {
    isolation: 'os',
    warmModels: [],
    memoryBytes: 2 ** 34,
    practice: false,
    backends: [{ name: 'cpu', device: 'x', memoryBytes: 2 ** 34 }],
  };
  lease = ((await victim.ask('lease', asked)).output as { lease: Lease }).lease;
  const { parts } = appPorts({ dataDir: root, installation });
  const own = await openReference({ dir: root, parts, modelMemoryBytes: 2 ** 30, clock: Date.now, log: () => undefined });
  outputs = await own.reference.compute({ model: { digest: lease.shard.model.digest, local: model }, shard: lease.shard, inputs });
  await own.close();
});
afterAll(async () => {
  await Promise.all([victim, hostile].map((each) => each?.connection.close()));
  await operated?.close();
});
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

async function member(): Promise<Raw> {
  const identity = openIdentity(join(temporaryFolder('raw'), 'identity.json'));
  const link = readLink((await operated.handlers.invite({ lastingMs: 60_000 })).link);
  const { terms } = await readTerms(link);
  const signDigest = (digest: string) => identity.signDigest(digest);
  const joiner = { worker: identity.address, payee: identity.address, version, signDigest, clock: Date.now };
  const { nkey, seed, access } = await joinNetwork(link, terms, joiner);
  ca = access.ca;
  const connection = await connect({
    servers: access.servers[0] as string,
    authenticator: jwtAuthenticator(access.jwt, new TextEncoder().encode(seed)),
    inboxPrefix: `_INBOX.${nkey}`,
    tls: { ca, checkServerIdentity: () => undefined } as object,
  });
  const ask: Raw['ask'] = async (call, header, body) =>
    unframe((await connection.request(`w.${nkey}.${call}`, frame(header, body), { timeout: 30_000 })).data);
  await ask('connect', { version });
  return { nkey, address: identity.address, connection, ask };
}

const tokenOf = async (who: Raw) => ((await who.ask('blobAccess', {})).output as { token: string }).token;

async function get(who: Raw, digest: string, method = 'GET', body?: Uint8Array): Promise<number> {
  return getBy(await tokenOf(who), digest, method, body);
}

function getBy(token: string, digest: string, method = 'GET', body?: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-length': body.byteLength }) };
    openRequest(`${https}/v1/blobs/${digest}`, { ca, agent: false, method, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end(body);
  });
}

const key = () => ({ shardId: lease.shard.id, attempt: lease.attempt });
const submission = (bytes: Uint8Array): Submission => ({
  ...key(),
  commitment: createHash('sha256').update(bytes).digest('hex'),
  outputBytes: bytes.byteLength,
  units: 1,
  runMs: 1,
  backend: 'cpu',
});
const held = async () => (await victim.ask('progress', { ...key(), fraction: null })).output;

test('another’s shard can not be read: neither its inputs nor its model', async () => {
  const file = model.manifest.files[0]?.digest as string;
  for (const digest of [lease.shard.inputs.digest, lease.shard.model.digest, file]) {
    expect([await get(victim, digest), await get(hostile, digest)]).toEqual([200, 403]);
  }
});

test('another’s shard can not be answered, be it with a wrong result or the right one', async () => {
  for (const bytes of [encodeSafetensors(new Map()), outputs]) {
    const reply = await hostile.ask('submit', { submission: submission(bytes), inline: true }, bytes);
    expect(reply).not.toMatchObject({ output: { type: 'accepted' } });
    expect(await hostile.ask('submit', { submission: submission(bytes), inline: false })).toMatchObject({
      error: { code: 'BLOB_MISSING' },
    });
    expect(await get(hostile, submission(bytes).commitment, 'PUT', bytes)).toBe(403);
  }
  expect(await held()).toEqual({ held: true });
});

test('another’s shard can not be given back, failed, told progress of, or kept from its worker', async () => {
  expect((await hostile.ask('progress', { ...key(), fraction: 1 })).output).toEqual({ held: false });
  for (const reason of ['paused', 'stopped', 'crashed', 'failed'])
    await hostile.ask('release', { ...key(), reason, code: 'RUN_FAILED', params: { detail: 'x' } });
  await hostile.ask('connect', { version, holds: [] });
  await hostile.ask('connect', { version, holds: [key()] });
  expect(await held()).toEqual({ held: true });
});

test('what another has earned can be neither seen nor signed for, and its own answer counts', async () => {
  const reply = await victim.ask('submit', { submission: submission(outputs), inline: true }, outputs);
  expect(reply).toMatchObject({ ok: true, output: { type: 'accepted', receipt: { worker: victim.address, shardId: lease.shard.id } } });
  expect((await hostile.ask('receiptsSince', { sequence: 0 })).output).toEqual([]);
  expect((await victim.ask('receiptsSince', { sequence: 0 })).output).toHaveLength(1);
  const batches = (await victim.ask('pendingBatches', { leaving: true })).output as { batch: { last: number } }[];
  expect(batches).toHaveLength(1);
  expect((await hostile.ask('pendingBatches', { leaving: true })).output).toEqual([]);
  const signature = `0x${'1'.repeat(130)}`;
  expect(await hostile.ask('countersign', { last: batches[0]?.batch.last, signature })).toMatchObject({ ok: false });
  expect((await victim.ask('pendingBatches', { leaving: false })).output).toHaveLength(1);
  const { workers } = await operated.handlers.workers({});
  expect(workers.map(({ worker, accepted }) => [worker, accepted])).toEqual(
    expect.arrayContaining([
      [victim.address, 1],
      [hostile.address, 0],
    ]),
  );
});

test('who is shut out is cut off, and its token opens nothing any more', async () => {
  const token = await tokenOf(hostile);
  await operated.handlers.revoke({ worker: hostile.address });
  expect(String(await hostile.connection.closed())).toMatch(/revoked|authorization|authentication/i);
  // What nobody may read is refused as such; who is nobody is refused before.
  expect(await getBy(token, lease.shard.inputs.digest)).toBe(403);
  expect(await held()).toEqual({ held: false });
});
