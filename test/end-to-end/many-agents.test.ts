import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { operate } from '../../cli/operator/operate.ts';
import type { Operated } from '../../cli/operator/request.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { compareOutputs } from '../../coordinator/trust/comparison.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { describeModel } from '../../core/models/describe.ts';
import { LyingAgent } from '../fakes/lying-agent.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import { natsMissing } from '../nats.ts';
import { type Command, hearthlend, type Line, run, temporaryFolder } from './program.ts';

const missing = natsMissing();
const AGENTS = 3;
const JOBS = 8;
const installation = findInstallation(fileURLToPath(import.meta.url));
const folders: string[] = [];
const agents: Command[] = [];
let operated: Operated;
let network = '';

beforeAll(async () => {
  if (missing !== null) return;
  const folder = temporaryFolder('operator');
  const terms = join(folder, 'terms.json');
  // A machine without a sandbox takes part in this, too.
  writeFileSync(terms, JSON.stringify({ isolation: ['os', 'chromium', 'process'], categories: [{ id: 'images', title: 'Pictures' }] }));
  operated = await operate(
    {
      ...{ dir: join(folder, 'operator'), version: installation.version, name: 'Three', operator: 'Ann', terms, port: 0 },
      ...{ websocket: false, models: [], advertise: ['127.0.0.1'], nats: null, announced: false, restoreLog: false },
    },
    installation,
  );
  for (let each = 0; each < AGENTS; each += 1) {
    const dataDir = temporaryFolder(`member-${each}`);
    const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: ['os', 'chromium', 'process'] };
    writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
    folders.push(dataDir);
  }
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.kill()));
  await operated?.close();
});
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

const start = async (dataDir: string): Promise<Command> => {
  const agent = hearthlend(dataDir, 'start', '--headless');
  agents.push(agent);
  await agent.event('started');
  return agent;
};

async function submitJobs(count: number): Promise<string[]> {
  const [first] = modelCases();
  const folder = temporaryFolder('many-model');
  for (const [path, bytes] of Object.entries(first?.files ?? {})) writeFileSync(join(folder, path), bytes);
  const model = await describeModel(join(folder, 'model.onnx'));
  const inputs = encodeSafetensors(first?.inputs ?? new Map());
  const limits = { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 };
  const ids: string[] = [];
  for (let each = 0; each < count; each += 1) {
    // Different threads: the same job asked for twice is one job.
    const session = { intraOpThreads: 1 + each, graphOptimization: 'all' as const };
    ids.push((await operated.intake.submitJob({ kind: 'onnx.run', model, inputs, limits, session, outputs: [] })).id);
  }
  return ids;
}

const done = (ids: string[]) =>
  expect
    .poll(async () => (await Promise.all(ids.map((id) => operated.intake.job(id)))).filter((job) => job?.state !== 'done').length, {
      timeout: 60_000,
      interval: 100,
    })
    .toBe(0);

const rowOf = async (dataDir: string): Promise<Line> => {
  const { lines } = await run(dataDir, 'network', 'list');
  return lines.find(({ id }) => id === network) ?? {};
};

test('three machines join from a terminal, each by an invitation of its own, and one that is used admits nobody else', async () => {
  const [first, ...others] = folders as [string, ...string[]];
  const invite = async () => (await operated.handlers.invite({ lastingMs: 60_000 })).link;
  const link = await invite();
  const unread = await run(first, 'network', 'join', link);
  expect(unread).toMatchObject({ code: 2, last: { code: 'USAGE' } });
  expect(unread.lines).toContainEqual(expect.objectContaining({ event: 'terms', operator: 'Ann' }));
  const joined = await run(first, 'network', 'join', link, '--yes', '--refuse', 'images');
  expect(joined.last).toMatchObject({ event: 'joined', choices: { refusedCategories: ['images'] } });
  network = String(joined.last.id);
  expect((await run(others[0] as string, 'network', 'join', link, '--yes')).last).toMatchObject({ code: 'INVITE_USED' });
  await Promise.all(
    others.map(async (dataDir) =>
      expect((await run(dataDir, 'network', 'join', await invite(), '--yes')).last).toMatchObject({ event: 'joined' }),
    ),
  );
  expect(await operated.handlers.status({})).toMatchObject({ workers: { joined: AGENTS }, openInvitations: 0 });
});

test('they work side by side; one that is killed loses and doubles nothing, and every ledger agrees with the operator', async () => {
  const [first] = await Promise.all(folders.map(start));
  await expect.poll(async () => (await operated.handlers.status({})).workers.connected, { timeout: 30_000 }).toBe(AGENTS);
  const jobs = await submitJobs(JOBS);
  // Work is under way: one of them dies, and comes back.
  await expect.poll(async () => (await operated.handlers.status({})).jobs.done, { timeout: 60_000, interval: 50 }).toBeGreaterThan(1);
  await first?.kill();
  await start(folders[0] as string);
  await done(jobs);
  const { workers } = await operated.handlers.workers({});
  expect(workers.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(JOBS);
  const recorded = () => Promise.all(folders.map(async (dataDir) => ((await rowOf(dataDir)).earnings as Line).acceptedShards as number));
  await expect.poll(async () => (await recorded()).reduce((sum, each) => sum + each, 0), { timeout: 30_000, interval: 500 }).toBe(JOBS);
  for (const dataDir of folders) expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true });
});

test('a machine that lies is found out and suspended, the others are blamed for nothing, and every job has the right outputs', async () => {
  const [before] = await submitJobs(1);
  await done([before as string]);
  const outputsOf = async (job: string) => decodeSafetensors(await operated.intake.outputs(job));
  const right = await outputsOf(before as string);
  const { link } = await operated.handlers.invite({ lastingMs: 60_000 });
  let suspendedUntil: number | null = null;
  const liar = await LyingAgent.start({
    ...{ link, lie: 'random output', isolation: 'process' },
    tell(told) {
      if (told.event === 'suspended') suspendedUntil = told.until;
    },
  });
  const jobs: string[] = [];
  try {
    // Each is for whoever asks first.
    while (suspendedUntil === null) {
      expect(jobs.length).toBeLessThan(200);
      jobs.push(...(await submitJobs(4)));
      await done(jobs);
    }
  } finally {
    await liar.stop();
  }
  expect(suspendedUntil).toBeGreaterThan(Date.now());
  expect(liar.answers.map(({ lied }) => lied)).not.toContain(false);
  expect(liar.answers.map(({ reply }) => reply)).not.toContain('accepted');
  for (const job of jobs) expect(compareOutputs(await outputsOf(job), right, { tolerance: () => 1e-4 }).detail).toBeUndefined();
  const { workers } = await operated.handlers.workers({});
  expect(workers.map(({ audits }) => audits.bad)).toEqual([0, 0, 0, 2]);
});

test('one that pauses the network is asked for nothing more; one that leaves it has no key of it left', async () => {
  const [paused, left] = folders as [string, string];
  expect((await run(paused, 'network', 'set', network, 'paused', 'true')).last).toMatchObject({ connection: { state: 'paused' } });
  expect((await run(left, 'network', 'leave', network)).last).toMatchObject({ code: 'USAGE' });
  expect((await run(left, 'network', 'leave', network, '--yes')).code).toBe(0);
  expect(await rowOf(left)).toEqual({});
  const before = await Promise.all([paused, left].map((dataDir) => run(dataDir, 'earnings')));
  await done(await submitJobs(2));
  const after = await Promise.all([paused, left].map((dataDir) => run(dataDir, 'earnings')));
  expect(after.map(({ stdout }) => stdout)).toEqual(before.map(({ stdout }) => stdout));
  expect((await run(paused, 'network', 'trust', network)).last).toMatchObject({ choices: { trusted: true, paused: true } });
  expect((await run(paused, 'network', 'set', network, 'floorPerToken', '12')).last).toMatchObject({ choices: { floorPerToken: '12' } });
  expect((await run(paused, 'network', 'set', network, 'colour', 'red')).last).toMatchObject({ code: 'USAGE' });
  expect((await run(paused, 'network', 'leave', 'elsewhere', '--yes')).last).toMatchObject({ code: 'NETWORK_UNKNOWN' });
});
