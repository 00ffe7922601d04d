import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ModelManifest } from '../../../core/contract/model.ts';
import { Staging } from '../../../core/supervisor/staging.ts';
import { failure, temporaryFolder } from './workbench.ts';

const digest = 'd'.repeat(64);
const manifest = (paths: string[]): ModelManifest => ({
  format: 'onnx',
  entry: paths[0] as string,
  files: paths.map((path) => ({ path, bytes: 5, digest })),
});

async function staging() {
  const made = new Staging(join(temporaryFolder(), 'models'));
  await made.prepare();
  return made;
}

test('a file behind a symbolic link is given itself, not the link', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'blob'), 'bytes');
  symlinkSync(join(folder, 'blob'), join(folder, 'model.onnx'));
  const models = await staging();
  await models.add(digest, manifest(['deep/model.onnx']), new Map([['deep/model.onnx', join(folder, 'model.onnx')]]));
  const given = lstatSync(join(models.modelsDir, digest, 'deep/model.onnx'));
  expect(given.isSymbolicLink()).toBe(false);
  expect(given.ino).toBe(statSync(join(folder, 'blob')).ino);
});

const otherDevice = '/dev/shm';
const twoDevices = existsSync(otherDevice) && statSync(otherDevice).dev !== statSync(temporaryRoot()).dev;
function temporaryRoot(): string {
  return process.env.TMPDIR ?? '/tmp';
}

test.skipIf(!twoDevices)('a file on another device is copied', async () => {
  const folder = mkdtempSync(join(otherDevice, 'hearthlend-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'model.onnx'), 'bytes');
  const models = await staging();
  await models.add(digest, manifest(['model.onnx']), new Map([['model.onnx', join(folder, 'model.onnx')]]));
  expect(readFileSync(join(models.modelsDir, digest, 'model.onnx'), 'utf8')).toBe('bytes');
});

test('a model of which a file is missing does not appear at all', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'a'), 'bytes');
  const models = await staging();
  const files = new Map([['a', join(folder, 'a')]]);
  expect(await failure(models.add(digest, manifest(['a', 'b']), files))).toMatchObject({ code: 'MODEL_INVALID' });
  expect(existsSync(join(models.modelsDir, digest))).toBe(false);
  // And it can be given once it is whole, twice without harm.
  files.set('b', join(folder, 'a'));
  await models.add(digest, manifest(['a', 'b']), files);
  await models.add(digest, manifest(['a', 'b']), files);
  expect(existsSync(join(models.modelsDir, digest, 'b'))).toBe(true);
});

test('what an earlier agent left is removed at the start, and a model when it is unloaded', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'a'), 'bytes');
  mkdirSync(join(folder, 'models/old'), { recursive: true });
  writeFileSync(join(folder, 'models/old/model.onnx'), 'old');
  const models = new Staging(join(folder, 'models'));
  await models.prepare();
  expect(existsSync(join(folder, 'models/old'))).toBe(false);
  await models.add(digest, manifest(['a']), new Map([['a', join(folder, 'a')]]));
  await models.remove(digest);
  expect(existsSync(join(models.modelsDir, digest))).toBe(false);
  expect(existsSync(join(folder, 'a'))).toBe(true);
});

test('a folder that cannot be made is named', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  const models = new Staging(join(folder, 'file/models'));
  expect(await failure(models.prepare())).toMatchObject({ code: 'DATA_DIR_UNWRITABLE', params: { path: models.modelsDir } });
});
