import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectToAgent } from '../../cli/agent/connect.ts';
import { operate } from '../../cli/operator/operate.ts';
import type { Operated, OperateRequest } from '../../cli/operator/request.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { parseJoinLink } from '../../core/contract/joining.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { describeModel } from '../../core/models/describe.ts';
import { natsRig } from '../coordinator/nats/rig.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import { natsMissing } from '../nats.ts';
import { freePorts } from './free-ports.ts';
import { type Command, hearthlend, temporaryFolder } from './program.ts';

const missing = natsMissing();
const installation = findInstallation(fileURLToPath(import.meta.url));
let dataDir: string;
let request: OperateRequest;
let operated: Operated;
let agentDir: string;
let agent: Command;
let client: RpcClient;

beforeAll(async () => {
  if (missing !== null) return;
  dataDir = temporaryFolder('operator');
  const terms = join(dataDir, 'terms.json');
  // A machine without a sandbox takes part in this, too.
  writeFileSync(terms, JSON.stringify({ isolation: ['os', 'chromium', 'process'], contact: 'ops@studio.example' }));
  request = {
    ...{ dir: join(dataDir, 'operator'), version: installation.version, name: 'Studio', operator: 'Ann', terms, port: await freePorts() },
    ...{ websocket: true, restoreLog: false, models: [], advertise: ['127.0.0.1'], nats: null, announced: false },
  };
  agentDir = temporaryFolder('member');
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: ['os', 'chromium', 'process'] };
  writeFileSync(join(agentDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  agent = hearthlend(agentDir, 'start', '--headless');
  [operated] = await Promise.all([operate(request, installation), agent.event('started')]);
  const connection = await connectToAgent(agentDir);
  if (connection === undefined) throw new Error('the agent is not there');
  client = connection.client;
});
afterAll(async () => {
  client?.close();
  await agent?.kill();
  await operated?.close();
});
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

const [first] = modelCases();

/** A job of one run, and its outputs once it is done. */
async function runJob(): Promise<ReturnType<typeof decodeSafetensors>> {
  const folder = temporaryFolder('network-model');
  for (const [path, bytes] of Object.entries(first?.files ?? {})) writeFileSync(join(folder, path), bytes);
  const model = await describeModel(join(folder, 'model.onnx'));
  const inputs = encodeSafetensors(first?.inputs ?? new Map());
  const limits = { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 };
  const session = { intraOpThreads: 1, graphOptimization: 'all' as const };
  const { id } = await operated.intake.submitJob({ kind: 'onnx.run', model, inputs, limits, session, outputs: [] });
  await expect.poll(async () => (await operated.intake.job(id))?.state, { timeout: 60_000, interval: 100 }).toBe('done');
  return decodeSafetensors(await operated.intake.outputs(id));
}

test('a machine joins by a link and has a shard accepted, with a receipt that its ledger and the operator both know', async () => {
  const { link } = await operated.handlers.invite({ lastingMs: 60_000 });
  const preview = await client.call('network.preview', { link });
  expect(preview).toMatchObject({ joined: false, terms: { operator: 'Ann', contact: 'ops@studio.example' } });
  const row = await client.call('network.join', {
    link,
    coordinator: preview.terms.coordinator,
    choices: { isolation: ['os', 'chromium', 'process'] },
  });
  expect(row.id).toBe(preview.terms.id);
  await expect(client.call('network.join', { link, coordinator: preview.terms.coordinator, choices: {} })).rejects.toMatchObject({
    code: 'NETWORK_JOINED',
  });
  const outputs = await runJob();
  expect([...outputs.keys()]).not.toEqual([]);
  const { workers } = await operated.handlers.workers({});
  expect(workers).toMatchObject([{ accepted: 1, open: 0, revokedAt: null, earned: [{ amount: '1' }] }]);
  const status = await operated.handlers.status({});
  expect(status).toMatchObject({ workers: { joined: 1, connected: 1, revoked: 0 }, jobs: { done: 1 }, openInvitations: 0 });
  await expect
    .poll(async () => (await client.call('network.list', {})).find(({ id }) => id === row.id)?.earnings.acceptedShards, { timeout: 20_000 })
    .toBe(1);
  // A newcomer's work is audited, and it can read what came of that.
  const audits = { validInARow: 1, valid: 1, bad: 0, undecided: 0, probability: 1, suspendedUntil: null };
  expect(await client.call('network.audits', { network: row.id })).toMatchObject({ ...audits, recent: [{ outcome: 'valid', detail: '' }] });
  const read = hearthlend(agentDir, 'network', 'audits', row.id);
  expect((await read.ended).code).toBe(0);
  expect(read.lines).toMatchObject([{ event: 'audits', network: row.id, ...audits }]);
  const appeals = hearthlend(dataDir, 'coordinator', 'appeals');
  expect((await appeals.ended).code).toBe(0);
  expect(appeals.lines).toEqual([]);
});

test('the operator’s figures are on the loopback for Prometheus, and his calls only for who has the token', async () => {
  const { port, token } = operated.control;
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toMatch(/^hearthlend_jobs\{state="done"\} 1$/m);
  expect(metrics).toMatch(/^hearthlend_worker_calls_total\{call="submit",outcome="ok"\} \d+$/m);
  expect(metrics).not.toMatch(/NaN|undefined/);
  const call = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${port}/operator/status`, { method: 'POST', body: '{}', headers });
  expect((await call({})).status).toBe(401);
  expect((await call({ authorization: `Bearer ${token}x` })).status).toBe(401);
  expect((await call({ authorization: `Bearer ${token}` })).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/operator/constructor`, { method: 'POST' })).status).toBe(404);
});

test('the operator’s page is served beside it, and its jobs can be asked for and cancelled', async () => {
  const { url } = await operated.handlers.open({});
  expect(await (await fetch(url)).text()).toContain('<div id="root">');
  const [job] = (await operated.handlers.jobs({})).jobs;
  // It is done, and stays so.
  expect(await operated.handlers.cancel({ job: job?.id ?? '' })).toMatchObject({ state: 'done' });
});

test('the commands of another terminal reach the running coordinator', async () => {
  const status = hearthlend(dataDir, 'coordinator', 'status');
  await status.ended;
  expect(status.lines).toMatchObject([{ event: 'status', workers: { joined: 1 } }]);
  const invite = hearthlend(dataDir, 'network', 'invite', '--expires', '2h');
  await invite.ended;
  expect(parseJoinLink(String(invite.lines[0]?.link))).toMatchObject({ fingerprint: status.lines[0]?.fingerprint });
  const second = hearthlend(dataDir, 'coordinator', '--port', '0', '--no-announce');
  expect((await second.ended).code).toBe(1);
  expect(second.lines).toMatchObject([{ event: 'error', code: 'COORDINATOR_RUNNING' }]);
  const elsewhere = hearthlend(temporaryFolder('nobody'), 'coordinator', 'status');
  expect((await elsewhere.ended).code).toBe(1);
  expect(elsewhere.lines).toMatchObject([{ event: 'error', code: 'COORDINATOR_NOT_RUNNING' }]);
});

test('its keys are for its owner alone, and nothing of them is in its log', () => {
  const folder = join(dataDir, 'operator');
  const log = readFileSync(join(folder, 'coordinator.log'), 'utf8');
  for (const file of ['nats-keys.json', 'identity.json', 'network.json', 'tls/authority.json', 'tls/server.key', 'nats/nats.conf']) {
    const path = join(folder, file);
    if (process.platform !== 'win32') expect([file, statSync(path).mode & 0o077]).toEqual([file, 0]);
    for (const secret of readFileSync(path, 'utf8').match(/S[OA][A-Z2-7]{56}|[0-9a-f]{64}/g) ?? []) expect(log).not.toContain(secret);
  }
  expect(log).not.toContain('PRIVATE KEY');
});

test('the same network goes on after its coordinator was stopped, and its machines come back', async () => {
  const { id, fingerprint, servers } = await operated.handlers.status({});
  await operated.close();
  expect(servers.some((server) => server.startsWith('wss://'))).toBe(true);
  operated = await operate({ ...request, name: null, operator: null, terms: null, websocket: false }, installation);
  const status = await operated.handlers.status({});
  expect(status).toMatchObject({ id, fingerprint, operator: 'Ann', workers: { joined: 1 }, jobs: { done: 1 } });
  await expect.poll(async () => (await operated.handlers.status({})).workers.connected, { timeout: 30_000 }).toBe(1);
});

test('a second coordinator shares the network: what one knows the other knows, and either lets machines in', async () => {
  const file = join(dataDir, 'share.json');
  const share = hearthlend(dataDir, 'coordinator', 'share', '--out', file);
  expect((await share.ended).code).toBe(0);
  if (process.platform !== 'win32') expect(statSync(file).mode & 0o077).toBe(0);
  const { servers, id, fingerprint } = await operated.handlers.status({});
  const own = servers.filter((server) => server.startsWith('tls://127.0.0.1'));
  const other = await operate(
    {
      ...request,
      dir: join(temporaryFolder('second'), 'operator'),
      name: null,
      operator: null,
      terms: null,
      port: 0,
      websocket: false,
      nats: { servers: own, credentials: file },
    },
    installation,
  );
  try {
    expect(await other.handlers.status({})).toMatchObject({
      id,
      fingerprint,
      ownNats: false,
      coordinators: 2,
      workers: { joined: 1 },
      jobs: { done: 1 },
    });
    const { link } = await other.handlers.invite({ lastingMs: 60_000 });
    expect(parseJoinLink(link)?.fingerprint).toBe(fingerprint);
    await expect.poll(async () => (await operated.handlers.status({})).openInvitations).toBeGreaterThan(0);
    const outputs = await runJob();
    expect([...outputs.keys()]).not.toEqual([]);
    await expect.poll(async () => (await other.handlers.status({})).jobs.done).toBe(2);
  } finally {
    await other.close();
  }
});

test('a network keeps its name', async () => {
  await operated.close();
  await expect(operate({ ...request, name: 'Other' }, installation)).rejects.toMatchObject({ code: 'USAGE' });
  operated = await operate(request, installation);
});

test('a cluster of somebody else’s serves a network of its own, under the cluster’s certificate', async () => {
  const rig = await natsRig();
  const file = join(temporaryFolder('cluster'), 'credentials.json');
  const credentials = { type: 'hearthlend coordinator credentials', version: 1, nats: rig.credentials, ca: rig.authority.ca };
  writeFileSync(file, JSON.stringify(credentials), { mode: 0o600 });
  const nats = { servers: [`tls://127.0.0.1:${rig.server.port}`], credentials: file };
  const elsewhere = { ...request, dir: join(temporaryFolder('on-cluster'), 'operator'), terms: null, port: 0, websocket: false, nats };
  const other = await operate(elsewhere, installation);
  const { servers, https, ownNats } = await other.handlers.status({});
  expect([servers, ownNats]).toEqual([nats.servers, false]);
  const { link } = await other.handlers.invite({ lastingMs: 60_000 });
  const joined = await client.call('network.join', {
    link,
    coordinator: (await client.call('network.preview', { link })).terms.coordinator,
  });
  await expect.poll(async () => (await other.handlers.status({})).workers.connected, { timeout: 30_000 }).toBe(1);
  await client.call('network.leave', { network: joined.id });
  expect(https[0]).toContain('127.0.0.1');
  await other.close();
  writeFileSync(file, JSON.stringify({ ...credentials, version: 2 }), { mode: 0o600 });
  await expect(operate(elsewhere, installation)).rejects.toMatchObject({ code: 'COORDINATOR_FILE_INVALID' });
  await rig.stop();
  await expect(operate({ ...elsewhere, nats: { ...nats, credentials: join(dataDir, 'share.json') } }, installation)).rejects.toMatchObject({
    code: 'COORDINATOR_FILE_INVALID',
  });
});

test('terms that are none are refused with what is wrong in them', async () => {
  const path = join(dataDir, 'bad.json');
  const attempt = async (text: string) => {
    writeFileSync(path, text);
    return operate({ ...request, dir: join(temporaryFolder('terms'), 'operator'), terms: path, port: 0 }, installation).then(
      () => 'taken',
      ({ code, params }) => [code, params.detail],
    );
  };
  expect(await attempt('{')).toEqual(['TERMS_INVALID', expect.stringMatching(/JSON/)]);
  expect(await attempt('{"holdBackMs":-1}')).toEqual(['TERMS_INVALID', expect.stringMatching(/holdBackMs/)]);
  expect(await attempt('{"price":1}')).toEqual(['TERMS_INVALID', expect.stringMatching(/price/)]);
});

test('a load balancer is told whether workers can be answered', async () => {
  const { https } = await operated.handlers.status({});
  const { hostname, port } = new URL(https[0] as string);
  const answer = await new Promise<string>((resolve, reject) => {
    const ca = readFileSync(join(dataDir, 'operator/tls/server.pem'), 'utf8').split(/(?<=-----END CERTIFICATE-----)/)[1] ?? '';
    get({ hostname, port, path: '/healthz', ca, agent: false }, (response) => {
      let body = `${response.statusCode} `;
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
  expect(answer).toBe('200 {"status":"ok"}');
});

test('a machine that is revoked is shut out', async () => {
  const { workers } = await operated.handlers.workers({});
  const worker = workers[0]?.worker as string;
  expect(await operated.handlers.revoke({ worker })).toEqual({ revoked: true });
  expect(await operated.handlers.revoke({ worker })).toEqual({ revoked: false });
  expect(await operated.handlers.status({})).toMatchObject({ workers: { joined: 0, revoked: 1 } });
});
