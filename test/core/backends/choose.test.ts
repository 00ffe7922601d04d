import { expect, test } from 'vitest';
import { candidatesFor, chooseWorkers, type ProvenGpu } from '../../../core/backends/choose.ts';
import type { Backend, BackendName } from '../../../core/contract/backends.ts';
import type { Gpu } from '../../../core/contract/hardware.ts';
import { Settings } from '../../../core/contract/settings.ts';

const GB = 2 ** 30;
const gpu = (id: string, changes: Partial<Gpu> = {}): Gpu => ({
  id,
  vendor: 'NVIDIA',
  name: 'NVIDIA GeForce RTX 3090',
  model: null,
  pci: { address: id, vendorId: '10de', deviceId: '2204' },
  vramBytes: 24 * GB,
  driver: 'nvidia',
  driverVersion: '570.86.16',
  apis: { cuda: '12.8', vulkan: '1.4', directx: null, metal: null },
  kind: 'discrete',
  external: false,
  link: null,
  mig: null,
  ...changes,
});
const backend = (name: BackendName, works = true, software = false): Backend => ({
  name,
  works,
  software,
  reason: null,
  remedy: null,
  difference: 1e-7,
  firstMs: 900,
  runMs: 1,
  testedAt: 1,
});
const [first, second] = ['0000:01:00.0', '0000:41:00.0'] as const;
const twins: ProvenGpu[] = [first, second].map((id) => ({ gpu: gpu(id), backends: [backend('webgpu'), backend('cuda')] }));
const settings = (gpus: object = {}) => Settings.parse({ worker: { gpus } }).worker;
const chosen = (gpus: readonly ProvenGpu[], wanted: object = {}, shared = 64 * GB) =>
  chooseWorkers(gpus, settings(wanted), shared).map((each) => [each.gpu.id, each.backend]);

test('each platform has its own backends to try, best first', () => {
  const nvidia = { vendor: 'NVIDIA' };
  expect(candidatesFor(nvidia, 'linux', 'x64')).toEqual(['cuda', 'webgpu']);
  expect(candidatesFor(nvidia, 'linux', 'arm64')).toEqual(['webgpu']);
  expect(candidatesFor({ vendor: 'AMD' }, 'linux', 'x64')).toEqual(['webgpu']);
  expect(candidatesFor(nvidia, 'win32', 'x64')).toEqual(['dml', 'webgpu']);
  expect(candidatesFor({ vendor: 'Apple' }, 'darwin', 'arm64')).toEqual(['coreml', 'webgpu']);
  expect(candidatesFor(nvidia, 'freebsd', 'x64')).toEqual([]);
});

test('one worker for each GPU, on the best backend that was proven there; two identical cards are two', () => {
  expect(chosen(twins)).toEqual([
    [first, 'cuda'],
    [second, 'cuda'],
  ]);
  const broken = [{ gpu: gpu(first), backends: [backend('cuda', false), backend('webgpu')] }];
  expect(chosen(broken)).toEqual([[first, 'webgpu']]);
});

test('without a backend that works, and with drivers that compute on the CPU, no GPU computes', () => {
  expect(chosen([])).toEqual([]);
  expect(chosen([{ gpu: gpu(first), backends: [backend('cuda', false), backend('webgpu', false)] }])).toEqual([]);
  expect(chosen([{ gpu: gpu(first), backends: [backend('webgpu', true, true)] }])).toEqual([]);
});

test('the settings say which GPUs compute, through what, and with how much of their memory', () => {
  expect(chosen(twins, { use: [second] })).toEqual([[second, 'cuda']]);
  expect(chosen(twins, { use: [] })).toEqual([]);
  expect(chosen(twins, { backend: 'webgpu' }).map(([, name]) => name)).toEqual(['webgpu', 'webgpu']);
  expect(chosen(twins, { backend: 'dml' })).toEqual([]);
  expect(chosen(twins, { backend: 'cpu' })).toEqual([]);
  const bytes = (share: number, vramBytes: number | null, shared: number) =>
    chooseWorkers([{ gpu: gpu(first, { vramBytes }), backends: [backend('cuda')] }], settings({ memoryShare: share }), shared)[0]
      ?.memoryBytes;
  expect(bytes(0.5, 24 * GB, 64 * GB)).toBe(12 * GB);
  // What the settings leave models of the machine's own memory is no bound of a card's.
  expect(bytes(1, 24 * GB, 4 * GB)).toBe(24 * GB);
  expect(bytes(0.5, null, 4 * GB)).toBe(2 * GB);
});

test('a divided GPU computes in its slices', () => {
  const slice = `${first}/gi1/ci0`;
  const divided: ProvenGpu[] = [
    { gpu: gpu(first, { mig: { role: 'parent', slices: [slice] } }), backends: [backend('cuda')] },
    { gpu: gpu(slice, { mig: { role: 'slice', parent: first, gpuInstance: 1, computeInstance: 0 } }), backends: [backend('cuda')] },
  ];
  expect(chosen(divided)).toEqual([[slice, 'cuda']]);
});
