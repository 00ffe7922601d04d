import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRecord } from '../../core/backends/record.ts';
import type { Gpu } from '../../core/contract/hardware.ts';
import { cudaFolder, onnxruntimeVersion, type ProofParts, proveCpu, proveGpus, proveSoftware } from '../../core/gpu-proofs.ts';
import type { Wall } from '../../core/supervisor/sandbox/plan.ts';
import { needs, temporaryFolder, wall } from './supervisor/workbench.ts';

const gpu = (changes: Partial<Gpu> = {}): Gpu => ({
  ...{ id: '0000:01:00.0', vendor: 'Intel', name: 'Intel Arc A770', model: 'DG2', pci: null, vramBytes: 16 * 2 ** 30, driver: null },
  ...{ driverVersion: '32.0.101.5972', kind: 'discrete', external: false, link: null, mig: null },
  apis: { cuda: null, vulkan: null, directx: '12.2', metal: null },
  ...changes,
});
const none: Wall = { ...wall, level: 'process', wall: 'none', program: null };

/** What proving takes, with its log; `tries` counts the kernels that were run. */
function bench(changes: Partial<ProofParts> = {}) {
  const dataDir = temporaryFolder();
  const events: string[] = [];
  const parts: ProofParts = {
    ports: { dataDir, clock: Date.now, log: (_level, event) => void events.push(event) },
    ...{ needs, wall, env: {} },
    record: openRecord(join(dataDir, 'tested.json')),
    ...changes,
  };
  return { parts, tries: () => events.filter((event) => event === 'backend-tried').length };
}
const { signal } = new AbortController();

test('a try is made once for a GPU, its driver and ONNX Runtime; what failed is tried anew where somebody asks', async () => {
  // Windows has no sandbox for it and looks for no files, so that the tries themselves are what runs here: both fail on this system.
  const { parts, tries } = bench({ needs: { ...needs, platform: 'win32' }, wall: none });
  const prove = (card: Gpu, again = false) => proveGpus(parts, [card], again, signal);
  const [proof] = await prove(gpu());
  expect(proof?.backends.map(({ name, works }) => [name, works])).toEqual([
    ['dml', false],
    ['webgpu', false],
  ]);
  expect(proof?.bindings.get('dml')?.provider).toEqual({ name: 'dml', deviceId: 0 });
  expect(tries()).toBe(2);
  await prove(gpu());
  expect(tries()).toBe(2);
  await prove(gpu({ driverVersion: '32.0.101.6000' }));
  expect(tries()).toBe(4);
  await prove(gpu(), true);
  expect(tries()).toBe(6);
});

test('what is broken off says nothing, and is tried another time', async () => {
  const { parts, tries } = bench({ needs: { ...needs, platform: 'win32' }, wall: none });
  const aborted = AbortSignal.abort();
  await proveGpus(parts, [gpu()], false, aborted);
  await proveGpus(parts, [gpu()], false, signal);
  expect(tries()).toBe(4);
});

test.runIf(process.platform === 'linux')('what a GPU lacks on this system is found without running anything', async () => {
  const { parts, tries } = bench({ env: { VK_DRIVER_FILES: '/nowhere.json' } });
  const [intel] = await proveGpus(parts, [gpu()], false, signal);
  expect(intel?.backends).toMatchObject([{ name: 'webgpu', works: false, reason: { key: 'backend.no-vulkan-driver' }, testedAt: null }]);
  const bare = bench({ wall: none });
  const [nvidia] = await proveGpus(bare.parts, [gpu({ vendor: 'NVIDIA', driver: 'nvidia' })], false, signal);
  expect(nvidia?.backends[0]).toMatchObject({ name: 'cuda', reason: { key: 'backend.cuda-needs-sandbox' } });
  expect(tries() + bare.tries()).toBe(0);
});

test('the CPU is proven where somebody asks, and without a driver that computes on it there is no other', async () => {
  const { parts } = bench({ env: { VK_DRIVER_FILES: '/nowhere.json' } });
  expect(await proveCpu(parts, signal)).toMatchObject({ name: 'cpu', works: true, software: false });
  expect(await proveSoftware(parts, signal)).toBeNull();
});

test("the CUDA provider's folder is of one version alone", () => {
  const version = onnxruntimeVersion(needs);
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(cudaFolder('/data', version)).not.toBe(cudaFolder('/data', '1.29.0'));
});
