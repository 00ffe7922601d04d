import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { zipSync } from 'fflate';
import { beforeAll, expect, test } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensor, Tensors } from '../../core/contract/tensor.ts';
import { readNpz, writeNpz } from '../../core/jobs/npz.ts';
import { modelCases, slowModel, slowTurns } from '../fixtures/onnx-models.ts';
import { model, node, optionalValue, sequenceValue, tensor, value } from '../fixtures/onnx-writer.ts';
import { type Command, hearthlend, type Line, NODE, run, START, temporaryFolder } from './program.ts';

/** An agent that practises no more, for the tests that need one running. */
let dataDir = '';
let agent: Command;

beforeAll(async () => {
  dataDir = temporaryFolder('jobs');
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ practice: { shardsPerDay: 0, minutesPerDay: 10 } }), { mode: 0o600 });
  agent = hearthlend(dataDir, ...START);
  await agent.event('state', { name: 'proven' });
});

function folderWith(files: Record<string, Uint8Array>): string {
  const folder = temporaryFolder('model');
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  return folder;
}

/** A folder with model.onnx and inputs.npz, ready to be submitted. */
async function jobFolder(files: Record<string, Uint8Array>, inputs: Tensors): Promise<string> {
  const folder = folderWith(files);
  await writeNpz(join(folder, 'inputs.npz'), inputs);
  return folder;
}

const submission = (folder: string, outputs = 'outputs.npz'): string[] => [
  ...['job', 'submit', '--model', join(folder, 'model.onnx'), '--inputs', join(folder, 'inputs.npz')],
  ...['--outputs', join(folder, outputs)],
];

const given = (type: Tensor['type'], shape: number[], elements: ArrayBufferView): Tensor => ({
  type,
  shape,
  data: new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength),
});
const floats = (shape: number[], values: number[]): Tensor => given('float32', shape, Float32Array.from(values));

const plain = (tensors: Tensors) => [...tensors].map(([name, { type, shape, data }]) => ({ name, type, shape, bytes: Buffer.from(data) }));

test('models of every kind give the bits of a plain onnxruntime-node at the same number of threads', async () => {
  const cases: [string, string][] = [];
  for (const { name, files, inputs } of modelCases()) {
    const folder = await jobFolder(files, inputs);
    writeFileSync(join(folder, 'inputs.safetensors'), encodeSafetensors(inputs));
    cases.push([name, folder]);
  }
  const reference = join(import.meta.dirname, 'plain-onnxruntime.ts');
  await promisify(execFile)(NODE, ['--disable-warning=ExperimentalWarning', reference, ...cases.map(([, folder]) => folder)]);
  for (const [name, folder] of cases) {
    const submit = (threads: number) => run(dataDir, ...submission(folder, `outputs-${threads}.npz`), '--threads', String(threads));
    const ended = await Promise.all([submit(1), submit(2)]);
    for (const [at, { code, last }] of ended.entries()) {
      const expected = decodeSafetensors(readFileSync(join(folder, `outputs-${at + 1}.safetensors`)));
      expect({ code, last }, name).toMatchObject({ code: 0, last: { event: 'done', state: 'done', tensors: expected.size } });
      expect(plain(await readNpz(join(folder, `outputs-${at + 1}.npz`), 2 ** 24)), `${name}, ${at + 1} threads`).toEqual(plain(expected));
    }
  }
});

test('without a running agent one is started for the job, which practises nothing', async () => {
  const own = temporaryFolder('own');
  const [recurrent] = modelCases().filter(({ name }) => name === 'recurrent');
  const folder = await jobFolder(recurrent?.files ?? {}, recurrent?.inputs ?? new Map());
  const submitted = await run(own, ...submission(folder));
  expect(submitted).toMatchObject({ code: 0, stderr: '', last: { event: 'done', tensors: 4 } });
  expect((await readNpz(join(folder, 'outputs.npz'), 2 ** 20)).size).toBe(4);
  expect((await run(own, 'job', 'list')).lines).toMatchObject([{ id: submitted.last.id, state: 'done', accepted: 1, shards: 1 }]);
  expect((await run(own, 'ledger', 'export', '--format', 'json')).lines).toMatchObject([{ origin: 'own', state: 'accepted', amount: '0' }]);
  expect((await run(own, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 1 });
});

test("the owner's job goes ahead of practice", async () => {
  const busy = temporaryFolder('busy');
  const practising = hearthlend(busy, ...START, '--shards', '10000');
  await practising.event('accepted');
  const folder = await jobFolder(
    {
      'model.onnx': model({
        nodes: [node('Neg', ['x'], ['y'])],
        inputs: [value('x', 'float32', ['n'])],
        outputs: [value('y', 'float32', ['n'])],
      }),
    },
    new Map([['x', floats([3], [1, -2, 3])]]),
  );
  const { last } = await run(busy, ...submission(folder));
  expect(last).toMatchObject({ event: 'done' });
  expect(plain(await readNpz(join(folder, 'outputs.npz'), 1000))).toEqual(plain(new Map([['y', floats([3], [-1, 2, -3])]])));
  practising.process.kill('SIGINT');
  expect((await practising.ended).code).toBe(0);
  const db = new Database(join(busy, 'ledger.db'), { readonly: true });
  const leases = db.prepare<[], { shardId: string; leasedAt: number }>('SELECT shardId, leasedAt FROM attempts ORDER BY firstEntry').all();
  db.close();
  const own = leases.findIndex(({ shardId }) => shardId === `${String(last.id)}.1`);
  expect(own).toBeGreaterThan(0);
  // Until its model and inputs are in place, practice goes on; some thousand tasks of it are still to come.
  const between = leases.slice(0, own).filter(({ leasedAt }) => leasedAt > Number(last.createdAt));
  expect(between.length).toBeLessThan(10);
});

const sum = () => ({
  nodes: [node('Add', ['a', 'b'], ['sum'])],
  inputs: [value('a', 'float32', [2, 'n']), value('b', 'float32', [2, 'n'])],
  outputs: [value('sum', 'float32', [2, 'n'])],
});
const a = floats([2, 1], [1, 2]);
const one: [string, Tensor][] = [['x', floats([1], [1])]];
const edges = { nodes: [node('Identity', ['x'], ['y'])], inputs: [value('x', 'float32', [1])], outputs: [value('y', 'float32', [1])] };
const external = (file: string) =>
  model({
    ...edges,
    nodes: [node('Add', ['x', 'w'], ['y'])],
    constants: [tensor('w', 'float32', [1], { file, offset: 0, length: 4 })],
  });
const whole = model(sum());

interface Refusal {
  what: string;
  code: string;
  /** Part of what is told: the name of what is refused. */
  names: string;
  files: Record<string, Uint8Array>;
  inputs?: [string, Tensor][];
}
const refusals: Refusal[] = [
  {
    what: 'a string input',
    code: 'MODEL_VALUE_UNSUPPORTED',
    names: 'words',
    files: {
      'model.onnx': model({
        ...edges,
        nodes: [node('Identity', ['words'], ['y'])],
        inputs: [value('words', 'string', [1])],
        outputs: [value('y', 'string', [1])],
      }),
    },
  },
  {
    what: 'a sequence output',
    code: 'MODEL_VALUE_UNSUPPORTED',
    names: 'list',
    files: {
      'model.onnx': model({ ...edges, nodes: [node('SequenceConstruct', ['x'], ['list'])], outputs: [sequenceValue('list', 'float32')] }),
    },
  },
  {
    what: 'an optional input',
    code: 'MODEL_VALUE_UNSUPPORTED',
    names: 'maybe',
    files: {
      'model.onnx': model({ ...edges, nodes: [node('OptionalGetElement', ['maybe'], ['y'])], inputs: [optionalValue('maybe', 'float32')] }),
    },
  },
  {
    what: 'a bfloat16 output',
    code: 'MODEL_VALUE_UNSUPPORTED',
    names: 'bfloat16',
    files: {
      'model.onnx': model({ ...edges, nodes: [node('Cast', ['x'], ['short'], { to: 16 })], outputs: [value('short', 'bfloat16', [1])] }),
    },
  },
  { what: 'a missing input', code: 'INPUT_MISSING', names: 'input b', files: { 'model.onnx': whole }, inputs: [['a', a]] },
  {
    what: 'an unknown input',
    code: 'INPUT_UNKNOWN',
    names: 'input c',
    files: { 'model.onnx': whole },
    inputs: [
      ['a', a],
      ['b', a],
      ['c', a],
    ],
  },
  {
    what: 'an input of another type',
    code: 'INPUT_MISMATCH',
    names: 'int64',
    files: { 'model.onnx': whole },
    inputs: [
      ['a', given('int64', [2, 1], BigInt64Array.of(1n, 2n))],
      ['b', a],
    ],
  },
  {
    what: 'an input of another shape',
    code: 'INPUT_MISMATCH',
    names: '[3, 1]',
    files: { 'model.onnx': whole },
    inputs: [
      ['a', floats([3, 1], [1, 2, 3])],
      ['b', a],
    ],
  },
  {
    what: 'inputs that the operators do not take together',
    code: 'RUN_FAILED',
    names: 'Add',
    files: { 'model.onnx': whole },
    inputs: [
      ['a', floats([2, 3], [1, 2, 3, 4, 5, 6])],
      ['b', floats([2, 2], [1, 2, 3, 4])],
    ],
  },
  { what: 'a truncated model', code: 'MODEL_INVALID', names: '', files: { 'model.onnx': whole.subarray(0, whole.length - 20) } },
  {
    what: 'a model with an operator that there is not',
    code: 'MODEL_INVALID',
    names: 'Frobnicate',
    files: { 'model.onnx': model({ ...edges, nodes: [node('Frobnicate', ['x'], ['y'])] }) },
    inputs: one,
  },
  {
    what: 'a constant that lies about its size',
    code: 'MODEL_SIZE_WRONG',
    names: 'tensor "w"',
    files: {
      'model.onnx': model({
        ...edges,
        nodes: [node('Add', ['x', 'w'], ['y'])],
        constants: [tensor('w', 'float32', [2 ** 40], Float32Array.of(1))],
      }),
    },
    inputs: one,
  },
  {
    what: 'external data outside the folder',
    code: 'MODEL_PATH_UNSAFE',
    names: '../secret.bin',
    files: { 'model.onnx': external('../secret.bin') },
    inputs: one,
  },
  {
    what: 'external data by an absolute path',
    code: 'MODEL_PATH_UNSAFE',
    names: '/etc/passwd',
    files: { 'model.onnx': external('/etc/passwd') },
    inputs: one,
  },
  {
    what: 'external data that leads out of the folder by a link',
    code: 'MODEL_PATH_UNSAFE',
    names: 'link.bin',
    files: { 'model.onnx': external('link.bin') },
    inputs: one,
  },
  {
    what: 'external data that is not there',
    code: 'MODEL_DATA_MISSING',
    names: 'gone.bin',
    files: { 'model.onnx': external('gone.bin') },
    inputs: one,
  },
];

test.each(refusals)('$what is refused by name with $code and a next step', async ({ code, names, files, inputs = one }) => {
  const folder = await jobFolder(files, new Map(inputs));
  symlinkSync('/etc/passwd', join(folder, 'link.bin'));
  writeFileSync(join(folder, 'outputs.npz'), 'what was there before');
  const refused = await run(dataDir, ...submission(folder));
  expect(refused).toMatchObject({ code: 1, stderr: '', last: { event: 'error', code } });
  expect(refused.last.message).toContain(names);
  expect(refused.last.next).toMatch(/\.$/);
  expect(readFileSync(join(folder, 'outputs.npz'), 'utf8')).toBe('what was there before');
});

/** An array as NumPy writes it, whose header says what it likes. */
function npy(header: string, data: Uint8Array): Uint8Array {
  const text = `${header.padEnd(117)}\n`;
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\0', 'latin1'), Uint8Array.of(text.length, 0), Buffer.from(text), data]);
}

test.each([
  [
    'a shape larger than its data',
    zipSync({ 'x.npy': npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }", new Uint8Array(4)) }),
    /NPZ_INVALID|TENSOR_INVALID/,
  ],
  [
    'a shape that no memory holds',
    zipSync({ 'x.npy': npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740993, 4096), }", new Uint8Array(4)) }),
    /NPZ_INVALID|TENSOR_/,
  ],
  [
    'Python objects',
    zipSync({ 'x.npy': npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)) }),
    /TENSOR_TYPE_UNSUPPORTED/,
  ],
  [
    'an archive that is cut off',
    zipSync({ 'x.npy': npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", new Uint8Array(4)) }).subarray(0, 150),
    /NPZ_INVALID/,
  ],
  ['no archive at all', Buffer.from('PK no'), /NPZ_INVALID/],
])('an .npz that lies is refused: %s', async (_what, archive, code) => {
  const folder = folderWith({ 'model.onnx': model(edges), 'inputs.npz': archive });
  const refused = await run(dataDir, ...submission(folder));
  expect(refused).toMatchObject({ code: 1, stderr: '', last: { event: 'error', next: expect.stringMatching(/\.$/) } });
  expect(refused.last.code).toMatch(code);
  expect(existsSync(join(folder, 'outputs.npz'))).toBe(false);
});

test('files that are not there are named', async () => {
  const folder = await jobFolder({ 'model.onnx': model(edges) }, new Map(one));
  const submit = async (...argv: string[]): Promise<Line> => (await run(dataDir, 'job', 'submit', ...argv)).last;
  const [model1, inputs, outputs] = ['model.onnx', 'inputs.npz', 'outputs.npz'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const nowhere = join(folder, 'nowhere/file');
  expect(await submit('--model', nowhere, '--inputs', inputs, '--outputs', outputs)).toMatchObject({ code: 'MODEL_NOT_FOUND' });
  expect(await submit('--model', model1, '--inputs', nowhere, '--outputs', outputs)).toMatchObject({ code: 'FILE_UNREADABLE' });
  expect(await submit('--model', model1, '--inputs', inputs, '--outputs', nowhere)).toMatchObject({ code: 'FILE_UNWRITABLE' });
});

test('a job is listed, shown and taken back while it runs; the next one runs', async () => {
  const folder = await jobFolder(slowModel(), slowTurns(2_000_000_000));
  const submit = hearthlend(dataDir, ...submission(folder));
  const { id } = await submit.event('job.changed', { state: 'running' });
  expect((await run(dataDir, 'job', 'list')).lines).toContainEqual(expect.objectContaining({ id, state: 'running', accepted: 0 }));
  expect((await run(dataDir, 'job', 'show', String(id))).last).toMatchObject({ id, state: 'running', finishedAt: null });
  expect(await run(dataDir, 'job', 'cancel', String(id))).toMatchObject({ code: 0, last: { id, state: 'cancelled' } });
  expect((await submit.ended).code).toBe(1);
  expect(submit.lines.at(-1)).toMatchObject({ event: 'error', code: 'JOB_CANCELLED' });
  expect(existsSync(join(folder, 'outputs.npz'))).toBe(false);

  const pressed = hearthlend(dataDir, ...submission(folder));
  const second = await pressed.event('job.changed', { state: 'running' });
  pressed.process.kill('SIGINT');
  expect((await pressed.ended).code).toBe(1);
  expect((await run(dataDir, 'job', 'show', String(second.id))).last).toMatchObject({ state: 'cancelled' });

  const limited = await run(dataDir, ...submission(folder), '--timeout', '1');
  expect(limited).toMatchObject({ code: 1, last: { event: 'error', code: 'WORKER_TIMEOUT' } });

  const quick = await jobFolder({ 'model.onnx': model(edges) }, new Map(one));
  expect((await run(dataDir, ...submission(quick))).last).toMatchObject({ event: 'done' });
  expect((await run(dataDir, 'job', 'show', 'job-000000000000')).last).toMatchObject({ event: 'error', code: 'JOB_UNKNOWN' });
  expect((await run(dataDir, 'job', 'cancel', String(id))).last).toMatchObject({ id, state: 'cancelled' });
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true });
});
