import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hubAccess } from '../../cli/commands/model.ts';
import type { World } from '../../cli/world.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const SOURCE = 'hf:someone/tiny';
const answering = (answer: string): Partial<World> => ({
  keyboard: { present: true, ask: async () => answer, lines: async () => [] },
});

test('before a model is fetched, its files, size, licence and commit are shown, and somebody at the keyboard is asked', async () => {
  const app = new FakeApp();
  const yes = openConsole(() => app, answering('y')).run('model', 'add', SOURCE);
  expect(await yes.exitCode).toBe(0);
  expect(yes.stdout.lines()).toEqual([
    'hf:someone/tiny#model.onnx',
    `640 B, licence: mit, commit ${'cd'.repeat(20)}`,
    `model.onnx  640 B  sha256:${'ef'.repeat(32)}`,
    'Added hf:someone/tiny#model.onnx (abababab, 640 B).',
  ]);
  const no = openConsole(() => new FakeApp(), answering('')).run('model', 'add', SOURCE);
  expect(await no.exitCode).toBe(1);
  expect(no.stderr.text).toContain('(CANCELLED)');
  expect(app.modelsAdded).toHaveLength(1);
});

test('what is fetched is the commit that was shown', async () => {
  const app = new FakeApp();
  const command = openConsole(() => app).run('model', 'add', SOURCE, '--file', 'model.onnx', '--yes', '--json');
  expect(await command.exitCode).toBe(0);
  expect(app.modelsAdded).toMatchObject([{ source: SOURCE, file: 'model.onnx', pin: 'cd'.repeat(20), acceptMissingLicence: false }]);
  expect(command.stdout.json().map(({ event }) => event)).toEqual(['model.plan', 'model.progress', 'done']);
});

test('nothing is fetched without a yes, and nothing that states no licence without saying so', async () => {
  const app = new FakeApp();
  const unasked = openConsole(() => app).run('model', 'add', SOURCE);
  expect(await unasked.exitCode).toBe(2);
  expect(unasked.stderr.text).toContain('--yes to fetch it (640 B)');
  app.modelPlan = { ...app.modelPlan, licence: null };
  const refused = openConsole(() => app).run('model', 'add', SOURCE, '--yes');
  expect(await refused.exitCode).toBe(1);
  expect(refused.stderr.text).toContain('(MODEL_LICENCE_MISSING)');
  expect(app.modelsAdded).toEqual([]);
  expect(await openConsole(() => app).run('model', 'add', SOURCE, '--yes', '--accept-missing-licence').exitCode).toBe(0);
  expect(app.modelsAdded).toMatchObject([{ acceptMissingLicence: true }]);
});

test("a path is meant from here, and needs nobody's yes", async () => {
  const app = new FakeApp();
  app.modelPlan = { ...app.modelPlan, licence: null, origin: { type: 'folder', path: '/somewhere' } };
  const console = openConsole(() => app);
  expect(await console.run('model', 'add', 'mine/model.onnx').exitCode).toBe(0);
  expect(app.modelsAdded).toMatchObject([{ source: `${console.dataDir}/mine/model.onnx`, pin: null }]);
});

test('an address of another kind is no path', async () => {
  const app = new FakeApp();
  await openConsole(() => app).run('model', 'add', 'ftp://example.com/model.onnx', '--yes').exitCode;
  expect(app.modelsAdded).toMatchObject([{ source: 'ftp://example.com/model.onnx' }]);
});

test('a size that nobody told is not known, and no zero', async () => {
  const app = new FakeApp();
  const asked: string[] = [];
  const ask = async (question: string) => {
    asked.push(question);
    return 'y';
  };
  const console = openConsole(() => app, { keyboard: { present: true, ask, lines: async () => [] } });
  const file = { path: 'model.onnx', bytes: null, digest: null };
  app.modelPlan = { ...app.modelPlan, files: [file], totalBytes: 0 };
  const whole = console.run('model', 'add', SOURCE);
  await whole.exitCode;
  app.modelPlan = { ...app.modelPlan, files: [file, { ...file, path: 'config.json', bytes: 2000 }], totalBytes: 2000 };
  const part = console.run('model', 'add', SOURCE);
  await part.exitCode;
  expect([whole.stdout.lines()[1], part.stdout.lines()[1]]).toEqual([
    expect.stringMatching(/^size not known yet, licence/),
    expect.stringMatching(/^2\.0 kB or more, licence/),
  ]);
  expect(asked).toEqual(['Fetch it (size not known yet)? [y/N] ', 'Fetch it (2.0 kB or more)? [y/N] ']);
});

test('models are listed, shown and removed in words', async () => {
  const console = openConsole(() => new FakeApp());
  const text = async (...argv: string[]) => {
    const command = console.run(...argv);
    expect(await command.exitCode).toBe(0);
    return command.stdout.lines();
  };
  expect(await text('model', 'list')).toEqual(['Digest     Size  Licence  Model', 'abababab  640 B  mit      hf:someone/tiny#model.onnx']);
  expect(await text('model', 'show', 'abababab')).toEqual([
    'hf:someone/tiny#model.onnx',
    `digest ${'ab'.repeat(32)}, commit ${'cd'.repeat(20)}, licence: mit`,
    `model.onnx  640 B  ${'ef'.repeat(32)}`,
  ]);
  expect(await text('model', 'remove', 'abababab')).toEqual(['Removed hf:someone/tiny#model.onnx: 640 B are free again.']);
});

test('the catalogue says what each model needs, and whether it fits here', async () => {
  const app = new FakeApp();
  const model = {
    repository: 'someone/tiny',
    file: 'model.onnx',
    backends: ['cpu' as const],
    licence: 'mit',
    task: 'text-generation' as const,
  };
  app.catalogue = [
    { ...model, name: 'Tiny', diskBytes: 1_500_000, memoryBytes: 3_000_000, obstacle: null },
    { ...model, name: 'Huge', diskBytes: 2.5e12, memoryBytes: 3e12, obstacle: 'memory' },
  ];
  const command = openConsole(() => app).run('model', 'list', '--catalogue');
  expect(await command.exitCode).toBe(0);
  const [, tiny, huge, note] = command.stdout.lines();
  expect(tiny).toMatch(/^Tiny +text-generation +1\.5 MB +3\.0 MB +mit +fits +hf:someone\/tiny#model\.onnx$/);
  expect(huge).toMatch(/^Huge .* 2\.5 TB +3\.0 TB +mit +too little memory /);
  expect(note).toMatch(/estimate/);
});

test('a job takes an added model by its name or digest, and everything else for a path', async () => {
  const app = new FakeApp();
  const models: string[] = [];
  const submitted = app.handlers['job.submit'];
  app.handlers['job.submit'] = async (input) => {
    models.push(input.model);
    await submitted(input);
    return app.changeJob(`job-${models.length}`, { state: 'done', finishedAt: 2 });
  };
  const console = openConsole(() => app);
  writeFileSync(join(console.dataDir, 'here.onnx'), 'a model');
  for (const model of ['hf:someone/tiny', 'abababab', 'https://example.com/m.onnx', 'model.onnx', 'here.onnx', './m.onnx', 'sub/abc']) {
    await console.run('job', 'submit', '--model', model, '--inputs', 'in.npz', '--outputs', 'out.npz').exitCode;
  }
  const { dataDir } = console;
  const added = ['hf:someone/tiny', 'abababab', 'https://example.com/m.onnx', 'model.onnx'];
  expect(models).toEqual([...added, `${dataDir}/here.onnx`, `${dataDir}/m.onnx`, `${dataDir}/sub/abc`]);
});

test('hub, token and proxy are those of the environment', () => {
  expect(hubAccess({})).toEqual({ endpoint: 'https://huggingface.co', token: null, proxy: {} });
  expect(
    hubAccess({
      HF_ENDPOINT: 'https://mirror.example',
      HF_TOKEN: 't',
      https_proxy: 'http://lower:1',
      HTTPS_PROXY: 'http://upper:1',
      NO_PROXY: 'a',
    }),
  ).toEqual({ endpoint: 'https://mirror.example', token: 't', proxy: { HTTPS_PROXY: 'http://lower:1', NO_PROXY: 'a' } });
});
