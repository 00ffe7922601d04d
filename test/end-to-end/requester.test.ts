import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { operate } from '../../cli/operator/operate.ts';
import type { Operated } from '../../cli/operator/request.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { readNpz, writeNpz } from '../../core/jobs/npz.ts';
import { pinnedAuthority } from '../../core/network/joining.ts';
import { SMALL } from '../fixtures/decoder/decoder-shape.ts';
import { makeDecoder } from '../fixtures/decoder/make-decoder.ts';
import { slowModel, slowTurns } from '../fixtures/onnx-models.ts';
import { model, node, value } from '../fixtures/onnx-writer.ts';
import { natsMissing } from '../nats.ts';
import { freePorts } from './free-ports.ts';
import { Command, hearthlend, NODE, run, temporaryFolder } from './program.ts';

const missing = natsMissing();
const isolation = ['os', 'chromium', 'process'];
let operated: Operated;
let agent: Command;
/** Where the network is, and a file with a key for it. */
let network = '';
let keyFile = '';
let requesterDir = '';

beforeAll(async () => {
  if (missing !== null) return;
  const installation = findInstallation(fileURLToPath(import.meta.url));
  const dataDir = temporaryFolder('operator');
  const terms = join(dataDir, 'terms.json');
  writeFileSync(terms, JSON.stringify({ isolation, prices: ['run', 'token'].map((unit) => ({ unit, perUnit: '3', note: '' })) }));
  operated = await operate(
    {
      ...{ dir: join(dataDir, 'operator'), version: installation.version, name: 'Studio', operator: 'Ann', terms, port: await freePorts() },
      ...{ websocket: false, restoreLog: false, models: [], advertise: ['127.0.0.1'], nats: null, announced: false },
    },
    installation,
  );
  const { secret, https, fingerprint } = await operated.handlers.addkey({ name: 'a test', budget: '1000' });
  network = `${https[0]}#sha256=${fingerprint}`;
  requesterDir = temporaryFolder('requester');
  keyFile = join(requesterDir, 'key');
  writeFileSync(keyFile, `${secret}\n`, { mode: 0o600 });

  const agentDir = temporaryFolder('member');
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: isolation };
  writeFileSync(join(agentDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  const { link } = await operated.handlers.invite({ lastingMs: 60_000 });
  expect((await run(agentDir, 'network', 'join', link, '--yes')).code).toBe(0);
  const { id } = await operated.handlers.status({});
  await run(agentDir, 'network', 'set', id, 'isolation', isolation.join(','));
  agent = hearthlend(agentDir, 'start', '--headless');
  await agent.event('started');
});
afterAll(async () => {
  await agent?.kill();
  await operated?.close();
});
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

/** A model that squares a batch, as often as it has values after the first, and eight rows for it. */
async function squareFolder(values = ['y']): Promise<string> {
  const folder = temporaryFolder('square');
  const rows = (name: string) => value(name, 'float32', ['batch', 2]);
  writeFileSync(
    join(folder, 'model.onnx'),
    model({
      nodes: values.map((name, at) => node('Mul', [values[at - 1] ?? 'x', values[at - 1] ?? 'x'], [name])),
      inputs: [rows('x')],
      outputs: [rows('y')],
      constants: [],
    }),
  );
  const data = new Uint8Array(Float32Array.from({ length: 16 }, (_, at) => at).buffer);
  await writeNpz(join(folder, 'inputs.npz'), new Map([['x', { type: 'float32', shape: [8, 2], data }]]));
  return folder;
}

const submission = (folder: string, ...more: string[]): string[] => [
  ...[
    'job',
    'submit',
    '--model',
    join(folder, 'model.onnx'),
    '--inputs',
    join(folder, 'inputs.npz'),
    '--outputs',
    join(folder, 'outputs.npz'),
  ],
  ...['--network', network, '--key-file', keyFile, ...more],
];

test('a job goes to a network in parts and comes back whole, with its cost before and after', async () => {
  const folder = await squareFolder();
  const submitted = await run(requesterDir, ...submission(folder, '--split', '3', '--max-cost', '9'));
  expect(submitted.lines.find(({ event }) => event === 'job.estimate')).toMatchObject({ units: 3, perUnit: '3', cost: '9' });
  expect(submitted).toMatchObject({ code: 0, last: { event: 'done', state: 'done', shards: 3, accepted: 3, cost: '9' } });
  const y = (await readNpz(join(folder, 'outputs.npz'), 2 ** 20)).get('y');
  expect(y?.shape).toEqual([8, 2]);
  expect([...new Float32Array(y?.data.slice().buffer ?? new ArrayBuffer(0))]).toEqual(Array.from({ length: 16 }, (_, at) => at * at));

  const again = await run(requesterDir, ...submission(folder, '--split', '3'));
  expect(again.last).toMatchObject({ id: submitted.last.id });
  const listed = await run(requesterDir, 'job', 'list', '--network', network, '--key-file', keyFile);
  expect(listed.lines).toMatchObject([{ id: submitted.last.id, state: 'done' }]);
  expect((await operated.handlers.keys({})).keys).toMatchObject([{ spent: '9' }]);
});

test('a job whose command was killed is taken up by the same command', async () => {
  const folder = temporaryFolder('slow');
  writeFileSync(join(folder, 'model.onnx'), slowModel()['model.onnx'] as Uint8Array);
  await writeNpz(join(folder, 'inputs.npz'), slowTurns(300_000));
  const killed = hearthlend(requesterDir, ...submission(folder));
  const { id } = await killed.event('job.changed');
  await killed.kill();
  const ended = await run(requesterDir, ...submission(folder));
  expect(ended).toMatchObject({ code: 0, last: { event: 'done', id, state: 'done' } });
  expect(ended.lines.some(({ event }) => event === 'job.upload')).toBe(false);
});

test('a text goes to a network, through one worker or through the stages of its model, and comes back as the same tokens', async () => {
  const folder = join(temporaryFolder('decoder'), 'decoder');
  makeDecoder(folder, { ...SMALL, layers: 2 });
  const ids = [1, 5, 9, 11];
  const data = new Uint8Array(BigInt64Array.from(ids, BigInt).buffer);
  await writeNpz(join(folder, 'inputs.npz'), new Map([['input_ids', { type: 'int64', shape: [1, ids.length], data }]]));
  const submit = (name: string, ...more: string[]) =>
    run(
      requesterDir,
      ...['job', 'submit', '--model', folder, '--inputs', join(folder, 'inputs.npz'), '--outputs', join(folder, name), '--tokens', '6'],
      ...['--network', network, '--key-file', keyFile, ...more],
    );
  const whole = await submit('whole.npz');
  expect(whole).toMatchObject({ code: 0, last: { state: 'done', kind: 'onnx.generate', shards: 1, cost: '18' } });
  const tokens = async (name: string) => [...((await readNpz(join(folder, name), 2 ** 20)).get('tokens')?.data ?? [])];
  expect((await tokens('whole.npz')).length).toBe(48);
  const staged = await submit('staged.npz', '--stages', '2');
  expect(staged).toMatchObject({ code: 0, last: { state: 'done', shards: 2 } });
  expect(await tokens('staged.npz')).toEqual(await tokens('whole.npz'));
});

test('a graph that is run once goes through stages on a network, too', async () => {
  const folder = await squareFolder(['h', 'i', 'j', 'y']);
  const submitted = await run(requesterDir, ...submission(folder, '--stages', '2'));
  expect(submitted).toMatchObject({ code: 0, last: { state: 'done', kind: 'onnx.run', shards: 2, accepted: 2, cost: '6' } });
  const y = (await readNpz(join(folder, 'outputs.npz'), 2 ** 20)).get('y');
  expect([...new Float32Array(y?.data.slice().buffer ?? new ArrayBuffer(0))].slice(0, 4)).toEqual([0, 1, 2 ** 16, Math.fround(3 ** 16)]);
});

test('what costs too much, or is nobody’s, is refused before anything is sent', async () => {
  const folder = await squareFolder();
  expect((await run(requesterDir, ...submission(folder, '--max-cost', '2'))).last).toMatchObject({ code: 'COST_TOO_HIGH' });
  const wrong = network.replace(/.{8}$/, '00000000');
  const asked = (...target: string[]) => run(requesterDir, 'job', 'list', ...target);
  expect((await asked('--network', wrong, '--key-file', keyFile)).last).toMatchObject({ code: 'INVITE_FINGERPRINT_WRONG' });
  expect((await asked('--network', 'nowhere', '--key-file', keyFile)).last).toMatchObject({ code: 'NETWORK_UNKNOWN' });
  expect((await asked('--network', network)).last).toMatchObject({ code: 'REQUESTER_KEY_MISSING' });
  const command = new Command(['job', 'list', '--network', network, '--json', '--data-dir', requesterDir], {
    spawn: { env: { ...process.env, HEARTHLEND_KEY: 'hl-nobody' } },
  });
  expect((await command.ended).stdout).toContain('API_KEY_INVALID');
});

test('the official client asks a network’s models over its own certificate', async () => {
  const { secret } = await operated.handlers.addkey({ name: 'a program', budget: null });
  const [https = ''] = (await operated.handlers.status({})).https;
  const ca = join(temporaryFolder('client'), 'ca.pem');
  writeFileSync(ca, await pinnedAuthority({ at: new URL(https).host, fingerprint: network.slice(-64) }));
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: ca, BASE: `${https}/v1`, KEY: secret };
  const { stdout } = await promisify(execFile)(NODE, [join(import.meta.dirname, '../fakes/openai-client.mjs')], { env });
  expect(JSON.parse(stdout)).toEqual({ models: ['wordnet-lm'], text: expect.stringMatching(/\w/), streamed: true });
});
