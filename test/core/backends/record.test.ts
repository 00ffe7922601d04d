import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { unavailable } from '../../../core/backends/prove.ts';
import { keyOf, openRecord } from '../../../core/backends/record.ts';
import { ref } from '../../../core/contract/messages.ts';

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-backends-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'backends', 'tested.json');
}
const facts = { gpu: '0000:01:00.0', name: 'NVIDIA GeForce RTX 3090', driver: '570.86.16', backend: 'cuda', onnxruntime: '1.30.0' };
const backend = unavailable('cuda', { reason: ref('backend.gpu-old'), remedy: null });
const model = 'a'.repeat(64);

test('a try counts until the GPU, its driver or ONNX Runtime changes', () => {
  const path = place();
  openRecord(path).keep(keyOf(facts), backend);
  const record = openRecord(path);
  expect(record.tried(keyOf(facts))).toEqual(backend);
  for (const change of [
    { driver: '575.1' },
    { driver: null },
    { onnxruntime: '1.31.0' },
    { gpu: '0000:02:00.0' },
    { name: 'Other' },
    { backend: 'webgpu' },
  ]) {
    expect(record.tried(keyOf({ ...facts, ...change }))).toBeNull();
  }
});

test('a later try replaces an earlier one, and refused models stay known after a start', () => {
  const path = place();
  const record = openRecord(path);
  record.keep(keyOf(facts), backend);
  record.keep(keyOf(facts), { ...backend, works: true });
  record.refused(keyOf(facts), model);
  record.refused(keyOf(facts), model);
  const again = openRecord(path);
  expect(again.tried(keyOf(facts))?.works).toBe(true);
  expect(again.refuses(keyOf(facts), model)).toBe(true);
  expect(again.refuses(keyOf({ ...facts, driver: '575.1' }), model)).toBe(false);
  expect(JSON.parse(readFileSync(path, 'utf8')).refusals).toHaveLength(1);
});

test('a file that is not understood counts as none and is written anew', () => {
  const path = place();
  openRecord(path).keep(keyOf(facts), backend);
  for (const text of ['', '{', '{"version":9}', '[]', 'x'.repeat((1 << 20) + 1)]) {
    writeFileSync(path, text);
    expect(openRecord(path).tried(keyOf(facts))).toBeNull();
  }
  openRecord(path).keep(keyOf(facts), backend);
  expect(openRecord(path).tried(keyOf(facts))).toEqual(backend);
});
