import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readNpz, writeNpz } from '../../core/jobs/npz.ts';
import { FakeHub } from '../fakes/hub.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import { allFiles, Command, type Ended, type Line, temporaryFolder } from './program.ts';

let hub: FakeHub;
beforeAll(async () => {
  hub = await FakeHub.open();
});
afterAll(() => hub.close());

/** A command on a data folder that reaches the hub of this test, and no proxy of this machine. */
function start(dataDir: string, ...argv: string[]): Command {
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_TOKEN: '' };
  return new Command([...argv, '--json', '--data-dir', dataDir], { spawn: { env } });
}

async function run(dataDir: string, ...argv: string[]): Promise<Ended & { lines: Line[]; last: Line }> {
  const command = start(dataDir, ...argv);
  const ended = await command.ended;
  return { ...ended, lines: command.lines, last: command.lines.at(-1) ?? {} };
}

const external = modelCases().find(({ name }) => name === 'external data');
const files = Object.fromEntries(Object.entries(external?.files ?? {}).map(([path, bytes]) => [`onnx/${path}`, bytes]));

test('a model is shown, added, used by its name, and removed', async () => {
  hub.publish('someone/external', { ...files, 'config.json': new TextEncoder().encode('{}') });
  const dataDir = temporaryFolder('models');
  const shown = await run(dataDir, 'model', 'add', 'hf:someone/external');
  expect(shown).toMatchObject({ code: 2, last: { event: 'error', code: 'USAGE' } });
  expect(shown.lines[0]).toMatchObject({ event: 'model.plan', licence: 'mit', entry: 'onnx/model.onnx' });

  const added = await run(dataDir, 'model', 'add', 'hf:someone/external', '--yes');
  expect(added).toMatchObject({ code: 0, last: { event: 'done', name: 'hf:someone/external#onnx/model.onnx' } });
  expect(added.lines.some(({ event }) => event === 'model.progress')).toBe(true);
  expect((await run(dataDir, 'model', 'list')).lines).toMatchObject([{ digest: added.last.digest, licence: 'mit' }]);

  const folder = temporaryFolder('job');
  await writeNpz(join(folder, 'in.npz'), external?.inputs ?? new Map());
  const names = ['hf:someone/external', String(added.last.digest).slice(0, 8)];
  for (const [at, model] of names.entries()) {
    const out = join(folder, `out-${at}.npz`);
    const job = await run(dataDir, 'job', 'submit', '--model', model, '--inputs', join(folder, 'in.npz'), '--outputs', out);
    expect(job).toMatchObject({ code: 0, last: { event: 'done', state: 'done' } });
    expect([...(await readNpz(out, 1 << 20)).keys()]).toEqual(['y']);
  }

  expect(await run(dataDir, 'model', 'remove', 'hf:someone/external')).toMatchObject({ code: 0, last: { event: 'done' } });
  const gone = await run(
    dataDir,
    'job',
    'submit',
    '--model',
    'hf:someone/external',
    '--inputs',
    join(folder, 'in.npz'),
    '--outputs',
    join(folder, 'o.npz'),
  );
  expect(gone).toMatchObject({ code: 1, last: { event: 'error', code: 'MODEL_UNKNOWN' } });
  expect((await run(dataDir, 'model', 'list', '--catalogue')).lines.length).toBeGreaterThanOrEqual(6);
});

test('a download that was killed in the middle goes on from there, and nothing is half-placed in between', async () => {
  const data = new Uint8Array(8 << 20).map((_, at) => (at * 2654435761) >>> 24);
  const large = { ...files, 'onnx/model.onnx.data': data };
  hub.publish('someone/large', large);
  const dataDir = temporaryFolder('killed');
  const half = data.byteLength / 2;
  hub.onFile = ({ path, response }) => {
    if (path !== 'onnx/model.onnx.data') return false;
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': data.byteLength });
    response.write(data.subarray(0, half));
    return true;
  };
  const killed = start(dataDir, 'model', 'add', 'hf:someone/large', '--yes');
  await killed.line(({ event, bytes }) => event === 'model.progress' && Number(bytes) >= half / 2);
  await killed.kill();
  const placed = allFiles(join(dataDir, 'models')).filter((path) => !path.includes('/downloads/'));
  expect(placed).toEqual([]);

  hub.onFile = () => false;
  const asked = hub.asked('model.onnx.data').length;
  expect(await run(dataDir, 'model', 'add', 'hf:someone/large', '--yes')).toMatchObject({ code: 0, last: { event: 'done' } });
  const ranges = hub
    .asked('model.onnx.data')
    .slice(asked)
    .map(({ headers }) => headers.range);
  expect(ranges.at(-1)).toMatch(/^bytes=\d{6,}-$/);
  expect(allFiles(join(dataDir, 'models')).filter((path) => path.includes('/downloads/'))).toEqual([]);
});

test('the first Ctrl-C ends a download, and says that it was cancelled', async () => {
  const data = new Uint8Array(4 << 20);
  hub.publish('someone/slow', { ...files, 'onnx/model.onnx.data': data });
  hub.onFile = ({ path, response }) => {
    if (path !== 'onnx/model.onnx.data') return false;
    response.writeHead(200, { 'content-length': data.byteLength });
    response.write(data.subarray(0, 1 << 20));
    return true;
  };
  const dataDir = temporaryFolder('cancelled');
  writeFileSync(join(dataDir, 'settings.json'), '{}', { mode: 0o600 });
  const command = start(dataDir, 'model', 'add', 'hf:someone/slow', '--yes');
  await command.line(({ event, file }) => event === 'model.progress' && String(file).endsWith('.data'));
  command.process.kill('SIGINT');
  expect(await command.ended).toMatchObject({ code: 1 });
  expect(command.lines.at(-1)).toMatchObject({ event: 'error', code: 'CANCELLED' });
  hub.onFile = () => false;
});

test('a running agent adds for a command, within the disk that its settings give to models', async () => {
  hub.publish('someone/agent', { ...files, 'onnx/model.onnx.data': new Uint8Array(2 << 20) });
  const dataDir = temporaryFolder('quota');
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 1 }, models: { diskBytes: 1 << 20 } };
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  const agent = start(dataDir, 'start', '--headless');
  await agent.event('state', { name: 'proven' });
  const refused = await run(dataDir, 'model', 'add', 'hf:someone/agent', '--yes');
  expect(refused).toMatchObject({ code: 1, last: { event: 'error', code: 'MODEL_TOO_LARGE' } });
  expect(refused.last.message).toMatch(/1,048,576 are free for models, 1,0\d\d,\d{3} too few/);
  hub.publish('someone/agent', files);
  const added = await run(dataDir, 'model', 'add', 'hf:someone/agent', '--yes');
  expect(added).toMatchObject({ code: 0, last: { event: 'done' } });
  expect(added.lines.some(({ event }) => event === 'model.progress')).toBe(true);
  agent.process.kill('SIGINT');
  expect((await agent.ended).code).toBe(0);
  expect((await run(dataDir, 'model', 'show', String(added.last.digest))).last).toMatchObject({ name: 'hf:someone/agent#onnx/model.onnx' });
});
