import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ModelManifest } from '../../core/contract/model.ts';
import { SPLIT_FILE, type SplitManifest } from '../../core/contract/stages.ts';
import { modelDigest } from '../../core/models/digest.ts';
import { stagesBeside } from '../../core/stages-beside.ts';

const manifestOf = (path: string): ModelManifest => ({ format: 'onnx', entry: path, files: [{ path, digest: 'a'.repeat(64), bytes: 5 }] });
const whole = manifestOf('model.onnx');

function splitOf(model: string): SplitManifest {
  const manifest = manifestOf('stage-1.onnx');
  return {
    ...{ format: 'hearthlend-split', version: 1, model, decoder: null, stopTokens: [] },
    stages: [{ digest: modelDigest(manifest), manifest, layers: [0], inputs: [], outputs: [], weightBytes: 5 }],
    check: { against: 'whole', runs: 1, distance: 0 },
  };
}

test('stages beside a model are taken as they lie there, and those of another model, or not whole, are refused by name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-stages-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  expect(await stagesBeside(folder, { manifest: whole })).toBeNull();
  const stages = join(folder, 'stages');
  mkdirSync(stages);
  const lay = (split: unknown) => writeFileSync(join(stages, SPLIT_FILE), JSON.stringify(split));
  const split = splitOf(modelDigest(whole));
  lay(split);
  const refused = { code: 'FILE_UNREADABLE', params: { path: stages } };
  await expect(stagesBeside(folder, { manifest: whole })).rejects.toMatchObject(refused);
  writeFileSync(join(stages, 'stage-1.onnx'), '1234');
  await expect(stagesBeside(folder, { manifest: whole })).rejects.toMatchObject({ params: { detail: 'stage-1.onnx is not whole' } });
  writeFileSync(join(stages, 'stage-1.onnx'), '12345');
  expect(await stagesBeside(folder, { manifest: whole })).toEqual({
    manifest: split,
    files: new Map([['stage-1.onnx', join(stages, 'stage-1.onnx')]]),
  });
  lay(splitOf('b'.repeat(64)));
  await expect(stagesBeside(folder, { manifest: whole })).rejects.toMatchObject(refused);
  lay({ format: 'something else' });
  await expect(stagesBeside(folder, { manifest: whole })).rejects.toMatchObject(refused);
});
