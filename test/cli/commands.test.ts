import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { App } from '../../core/app.ts';
import { FakeApp } from '../fakes/app.ts';
import { type Console, openConsole } from './console.ts';

const submit = ['job', 'submit', '--model', 'm.onnx', '--inputs', 'in.npz', '--outputs', 'out.npz'];

/** An agent that runs on the console's data folder until the test ends it. */
async function startAgent(console: Console): Promise<{ stop(): Promise<void> }> {
  const agent = console.run('start', '--headless', '--json');
  await agent.stdout.seen(/"started"/);
  return {
    stop: async () => {
      agent.signal('SIGTERM');
      await agent.exitCode;
    },
  };
}

test.each([
  [['--help'], 0],
  [['--version'], 0],
  [['ledger', 'export', '--help'], 0],
  [[], 2],
  [['ledger'], 2],
  [['nonsense'], 2],
  [['start', '--nonsense'], 2],
  [['start', '--shards', '0'], 2],
  [['start', '--shards', '1.5'], 2],
  [['start', '--port', '70000'], 2],
  [['start', 'extra'], 2],
  [['pause', '--for', 'soon'], 2],
  [['pause', '--for', '30x'], 2],
  [['job', 'submit'], 2],
  [['prompt', '', '--model', 'm.onnx'], 2],
  [['job', 'save', 'job-1'], 2],
  [['ledger', 'export'], 2],
  [['ledger', 'export', '--format', 'xml'], 2],
  [['ledger', 'export', '--format', 'csv', '--from', '2026-02-30'], 2],
  [['settings', 'set', 'nonsense', '1'], 2],
  [['settings', 'set', 'theme', 'pink'], 2],
  [['settings', 'set', 'worker.gpus.backend', 'rocm'], 2],
  [['settings', 'set', 'worker.gpus', 'x'], 2],
  [['settings', 'set', 'practice.minutesPerDay', '99999'], 2],
])('hearthlend %j ends with exit code %i', async (argv, exitCode) => {
  const app = new FakeApp();
  const command = openConsole(() => app).run(...argv);
  expect(await command.exitCode).toBe(exitCode);
  if (exitCode === 0) expect(command.stderr.text).toBe('');
  else expect(command.stderr.text).not.toBe('');
});

test('wrong usage is told as a JSON line to a program', async () => {
  const command = openConsole(() => new FakeApp()).run('start', '--shards', 'many', '--json');
  expect(await command.exitCode).toBe(2);
  expect(command.stdout.json()).toMatchObject([
    { event: 'error', code: 'USAGE', message: expect.stringContaining('--shards'), next: expect.any(String) },
  ]);
  expect(command.stderr.text).toBe('');
});

test.each([
  [['earnings'], { accepted: '12345', practice: true }],
  [['ledger', 'verify'], { ok: true, entries: 9 }],
  [['doctor'], { isolation: { level: 'os' } }],
  [['settings', 'show'], { theme: 'system' }],
  [['settings', 'set', 'theme', 'dark'], { theme: 'dark', practice: { shardsPerDay: 200, minutesPerDay: 10 } }],
  [['settings', 'set', 'practice.minutesPerDay', '5'], { practice: { shardsPerDay: 200, minutesPerDay: 5 } }],
  [['settings', 'set', 'worker.threads', '4'], { worker: { threads: 4 } }],
  [['settings', 'set', 'claims.gasCapPerDay', '1000'], { claims: { gasCapPerDay: '1000' } }],
  [['settings', 'set', 'claims.least', '[{"asset":"eip155:1/slip44:60","amount":"5"}]'], { claims: { least: [{ amount: '5' }] } }],
  [['settings', 'set', 'worker.gpus.backend', 'webgpu'], { worker: { gpus: { backend: 'webgpu', use: null } } }],
  [['settings', 'set', 'worker.gpus.memoryShare', '0.5'], { worker: { gpus: { memoryShare: 0.5 } } }],
  [['settings', 'set', 'worker.gpus.use', '0000:01:00.0'], { worker: { gpus: { use: ['0000:01:00.0'] } } }],
  [['settings', 'set', 'worker.gpus.use', 'auto'], { worker: { gpus: { use: null } } }],
  [['settings', 'set', 'acceptedIsolation', 'os'], { acceptedIsolation: ['os'] }],
  [['rules', 'show'], { event: 'rules', preset: 'gaming-pc' }],
  [['rules', 'set', 'preset', 'quiet'], { event: 'rules', preset: 'quiet', limits: { duty: 0.5 } }],
])('hearthlend %j answers alike from a running agent and by itself, with --json and for people', async (argv, answer) => {
  const { snapshot } = new FakeApp();
  const console = openConsole(() => Object.assign(new FakeApp(), { snapshot }));
  const alone = console.run(...argv, '--json');
  expect(await alone.exitCode).toBe(0);
  expect(alone.stdout.json()).toMatchObject([answer]);
  const agent = await startAgent(console);
  const asked = console.run(...argv, '--json');
  expect(await asked.exitCode).toBe(0);
  expect(asked.stdout.text).toBe(alone.stdout.text);
  const forPeople = console.run(...argv);
  expect(await forPeople.exitCode).toBe(0);
  expect(forPeople.stdout.text).not.toContain('{');
  // No colour or bold where nobody sees it.
  expect(forPeople.stdout.text).not.toContain('\x1b');
  await agent.stop();
});

test('a broken ledger is a failure that names every problem', async () => {
  const app = new FakeApp();
  app.handlers['ledger.verify'] = async () => ({
    ok: false,
    entries: 9,
    receipts: 3,
    batches: 1,
    headHash: null,
    problems: [{ code: 'ENTRY_CHANGED', sequence: 4, detail: 'its hash is another' }],
  });
  const console = openConsole(() => app);
  const command = console.run('ledger', 'verify');
  expect(await command.exitCode).toBe(1);
  expect(command.stdout.text).toContain('ENTRY_CHANGED at entry 4: its hash is another');
});

test('the practice numbers are named practice, all four are shown, and the expected one is an estimate', async () => {
  const command = openConsole(() => new FakeApp()).run('earnings');
  await command.exitCode;
  const [header, row] = command.stdout.lines();
  expect(header).toMatch(/expected +accepted +promised +paid/);
  expect(row).toMatch(/^practice +≈ 38 +12345 +0 +0$/);
});

test('an export goes to stdout and leaves nothing behind, or to the file that is named', async () => {
  const app = new FakeApp();
  app.exported = async ({ path, format, from, to }) => {
    await writeFile(path, `${format},${from},${to}\n`);
    return 1;
  };
  const from = new Date(2026, 0, 31).getTime();
  const to = new Date(2026, 1, 1).getTime();
  const days = ['--from', '2026-01-31', '--to', '2026-01-31'];
  const console = openConsole(() => app);
  const piped = console.run('ledger', 'export', '--format', 'csv', ...days);
  expect(await piped.exitCode).toBe(0);
  expect(piped.stdout.text).toBe(`csv,${from},${to}\n`);
  expect(readdirSync(console.dataDir)).toEqual([]);
  const filed = openConsole(() => app);
  const command = filed.run('ledger', 'export', '--format', 'json', '--out', 'all.json', '--json');
  expect(await command.exitCode).toBe(0);
  expect(command.stdout.json()).toEqual([{ event: 'exported', rows: 1, path: join(filed.dataDir, 'all.json') }]);
  expect(readdirSync(filed.dataDir)).toEqual(['all.json']);
});

test('job submit starts an agent for the job alone, without practice, and writes the outputs', async () => {
  const app = new FakeApp();
  app.onStart = () => {
    app.changeJob('job-1', { state: 'running' });
    app.changeJob('job-1', { state: 'done', accepted: 1, finishedAt: 2 });
  };
  const console = openConsole(() => app);
  const command = console.run(...submit, '--json');
  expect(await command.exitCode).toBe(0);
  expect(command.stdout.json().map(({ event, state }) => `${event} ${state}`)).toEqual([
    'job.changed queued',
    'job.changed running',
    'job.changed done',
    'done done',
  ]);
  expect(command.stdout.json().at(-1)).toMatchObject({ id: 'job-1', outputs: join(console.dataDir, 'out.npz'), tensors: 2, bytes: 640 });
  expect(app.started).toEqual({ shards: null, networks: ['local'], practice: false });
  expect(app.stops).toEqual([{ now: true }]);
});

test('job submit hands its job to the running agent, and paths are meant from the folder it was called in', async () => {
  const app = new FakeApp();
  let asked: Parameters<App['handlers']['job.submit']>[0] | undefined;
  const plain = app.handlers['job.submit'];
  app.handlers['job.submit'] = async (input) => {
    asked = input;
    const job = await plain(input);
    // Over before its submission is answered.
    app.changeJob(job.id, { state: 'done', accepted: 1, finishedAt: 2 });
    return job;
  };
  const console = openConsole(() => app);
  const agent = await startAgent(console);
  writeFileSync(join(console.dataDir, 'm.onnx'), 'a model');
  const command = console.run(...submit, '--threads', '2', '--timeout', '60');
  expect(await command.exitCode).toBe(0);
  expect(asked).toEqual({ model: join(console.dataDir, 'm.onnx'), inputs: join(console.dataDir, 'in.npz'), threads: 2, wallMs: 60_000 });
  expect(command.stdout.text).toContain('2 outputs (640 bytes) written to');
  await agent.stop();
  expect(app.stops).toEqual([{ now: false }]);
});

test('a job that fails is told by its own error', async () => {
  const app = new FakeApp();
  app.onStart = () => app.changeJob('job-1', { state: 'failed', error: { code: 'INPUT_MISSING', params: { name: 'pixels' } } });
  const command = openConsole(() => app).run(...submit);
  expect(await command.exitCode).toBe(1);
  expect(command.stderr.text).toContain('The model needs an input pixels');
});

test('a failed job says in words why, also later', async () => {
  const app = new FakeApp();
  app.onStart = () => app.changeJob('job-1', { state: 'failed', error: { code: 'INPUT_MISSING', params: { name: 'pixels' } } });
  await openConsole(() => app).run(...submit).exitCode;
  const command = openConsole(() => app).run('job', 'show', 'job-1');
  expect(await command.exitCode).toBe(0);
  expect(command.stdout.text).toContain('The model needs an input pixels');
});

test('a job that outlives its submission is kept, and its outputs can be written later', async () => {
  const console = openConsole(() => new FakeApp());
  const agent = await startAgent(console);
  const submitted = console.run(...submit, '--json');
  await submitted.stdout.seen(/queued/);
  await agent.stop();
  expect(await submitted.exitCode).toBe(1);
  expect(submitted.stdout.json().at(-1)).toMatchObject({
    code: 'JOB_LEFT',
    message: expect.stringContaining('before the job job-1 was done'),
    next: expect.stringContaining('hearthlend job save job-1'),
  });
  const saved = console.run('job', 'save', 'job-1', '--outputs', 'late.npz', '--json');
  expect(await saved.exitCode).toBe(0);
  expect(saved.stdout.json()).toEqual([
    { event: 'done', jobId: 'job-1', outputs: join(console.dataDir, 'late.npz'), tensors: 2, bytes: 640 },
  ]);
});

test('outputs never take the place of the model or the inputs, by whatever name', async () => {
  const app = new FakeApp();
  const console = openConsole(() => app);
  writeFileSync(join(console.dataDir, 'in.npz'), 'inputs');
  symlinkSync('in.npz', join(console.dataDir, 'out.npz'));
  const command = console.run(...submit);
  expect(await command.exitCode).toBe(2);
  expect(command.stderr.text).toContain('is the model or the inputs');
  expect(app.jobs).toEqual([]);
});

test('Ctrl-C takes the job back', async () => {
  const app = new FakeApp();
  const command = openConsole(() => app).run(...submit, '--json');
  await command.stdout.seen(/queued/);
  command.signal('SIGINT');
  expect(await command.exitCode).toBe(1);
  expect(command.stdout.json().at(-1)).toMatchObject({ event: 'error', code: 'JOB_CANCELLED' });
  expect(app.jobs).toMatchObject([{ state: 'cancelled' }]);
});

test('job submit refuses an output that could not be written before it computes anything', async () => {
  const app = new FakeApp();
  const command = openConsole(() => app).run(...submit.slice(0, -1), join('missing', 'out.npz'), '--json');
  expect(await command.exitCode).toBe(1);
  expect(command.stdout.json()).toMatchObject([{ event: 'error', code: 'FILE_UNWRITABLE' }]);
  expect(app.jobs).toEqual([]);
});

test.each([['open'], ['pause'], ['resume'], ['stop']])('hearthlend %s needs a running agent and says how to start one', async (name) => {
  const command = openConsole(() => new FakeApp()).run(name);
  expect(await command.exitCode).toBe(1);
  expect(command.stderr.text).toMatch(/No Hearthlend is running on the data folder .*\nStart it with hearthlend start/);
});

test('pause, resume and open reach the running agent', async () => {
  const app = new FakeApp();
  const console = openConsole(() => app);
  const agent = await startAgent(console);
  expect(await console.run('pause', '--for', '1h30m').exitCode).toBe(0);
  expect(await console.run('pause').exitCode).toBe(0);
  expect(app.pauses).toEqual([5_400_000, null]);
  expect(await console.run('resume').exitCode).toBe(0);
  const opened = console.run('open', '--json');
  expect(await opened.exitCode).toBe(0);
  expect(opened.stdout.json()).toMatchObject([
    { event: 'window', opened: false, url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/#code=/) },
  ]);
  await agent.stop();
});

test('a command of another version than the running agent is refused', async () => {
  const console = openConsole(() => new FakeApp());
  const agent = await startAgent(console);
  const path = join(console.dataDir, 'agent.json');
  const endpoint = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...endpoint, version: '0.0.9' }));
  const command = console.run('earnings', '--json');
  expect(await command.exitCode).toBe(1);
  expect(command.stdout.json()).toMatchObject([{ event: 'error', code: 'AGENT_INCOMPATIBLE' }]);
  await agent.stop();
});

test.each([
  ['a process that is gone', { pid: 2 ** 22 - 3 }],
  ['a port where nobody answers', { pid: process.pid }],
  ['nothing that can be read', {}],
])('an endpoint file that leads to %s counts as none', async (_what, endpoint) => {
  const console = openConsole(() => new FakeApp());
  const stale = { version: '0.1.0', port: 1, token: 'x', startedAt: 1, ...endpoint };
  writeFileSync(join(console.dataDir, 'agent.json'), JSON.stringify(stale));
  const command = console.run('ledger', 'verify', '--json');
  expect(await command.exitCode).toBe(0);
  expect(command.stdout.json()).toMatchObject([{ ok: true }]);
});
