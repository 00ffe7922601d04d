import { describe, expect, test } from 'vitest';
import { bindTo } from '../../../core/backends/bind.ts';
import { afterFailure, type Lane, pickLane } from '../../../core/backends/lanes.ts';
import type { Gpu } from '../../../core/contract/hardware.ts';

const gpu = (id: string, vendor: string): Gpu => ({
  ...{
    id,
    vendor,
    name: `${vendor} ${id}`,
    model: null,
    pci: { address: id, vendorId: null, deviceId: null },
    vramBytes: null,
    driver: null,
  },
  ...{ driverVersion: null, kind: 'discrete', external: false, link: null, mig: null },
  apis: { cuda: null, vulkan: null, directx: null, metal: null },
});
const twins = [gpu('0000:01:00.0', 'NVIDIA'), gpu('0000:41:00.0', 'NVIDIA')] as const;
const mixed = [gpu('0000:00:02.0', 'Intel'), gpu('0000:01:00.0', 'NVIDIA')] as const;
const bound = (...[one, all, backend, platform, walled]: [Gpu, readonly Gpu[], Parameters<typeof bindTo>[2], NodeJS.Platform, boolean]) => {
  const binding = bindTo(one, all, backend, { platform, walled });
  return binding.ok ? binding.deviceId : binding.reason.key;
};

describe('which of several GPUs a worker computes on', () => {
  test('behind bubblewrap it is the first that the worker sees, since it sees no other', () => {
    for (const card of twins) {
      expect(bound(card, twins, 'cuda', 'linux', true)).toBe(0);
      expect(bound(card, twins, 'webgpu', 'linux', true)).toBe(0);
    }
  });

  test('DirectML is told its place', () => {
    expect(bound(twins[0], twins, 'dml', 'win32', false)).toBe(0);
    expect(bound(twins[1], twins, 'dml', 'win32', false)).toBe(1);
  });

  test('WebGPU outside a sandbox serves a GPU only where there is no doubt which it takes', () => {
    expect(bound(twins[1], twins, 'webgpu', 'win32', false)).toBe('backend.no-choice');
    expect(bound(mixed[1], mixed, 'webgpu', 'win32', false)).toBe('backend.no-choice');
    expect(bound(twins[0], [twins[0]], 'webgpu', 'win32', false)).toBe(0);
    expect(bound(twins[0], twins, 'webgpu', 'linux', false)).toBe('backend.no-choice');
    expect(bound(mixed[1], mixed, 'webgpu', 'linux', false)).toBe(0);
  });

  test('CUDA runs in the sandbox alone', () => {
    expect(bound(twins[0], [twins[0]], 'cuda', 'linux', false)).toBe('backend.cuda-needs-sandbox');
  });
});

const model = 'a'.repeat(64);
const lane = (changes: Partial<Lane> = {}): Lane => ({
  backend: 'cuda',
  handed: 0,
  aside: false,
  warm: [],
  refuses: () => false,
  ...changes,
});

test('a shard goes to a free worker that has its model loaded, else to a free one, never to one whose backend refused it', () => {
  const [cold, warm] = [lane(), lane({ warm: [model] })];
  expect(pickLane([cold, warm], model)).toBe(warm);
  expect(pickLane([cold, { ...warm, handed: 2 }], model)).toBe(cold);
  expect(pickLane([{ ...cold, aside: true }], model)).toBeUndefined();
  expect(pickLane([lane({ warm: [model], refuses: (each) => each === model })], model)).toBeUndefined();
  expect(pickLane([], model)).toBeUndefined();
});

test('the CPU tries what may be the backend, keeps what stays so, and leaves alone what is wrong with the shard', () => {
  expect(afterFailure('BACKEND_REFUSED', 'no kernel for FooBar')).toEqual({ cpuTries: true, remember: true });
  expect(afterFailure('WORKER_CRASHED', 'signal SIGSEGV')).toEqual({ cpuTries: true, remember: true });
  expect(afterFailure('RUN_FAILED', 'Failed to allocate memory for requested buffer of size 9')).toEqual({
    cpuTries: true,
    remember: false,
  });
  expect(afterFailure('RUN_FAILED', '887A0005 The GPU device instance has been suspended')).toEqual({ cpuTries: true, remember: false });
  expect(afterFailure('MODEL_OVER_MEMORY', '')).toEqual({ cpuTries: true, remember: false });
  expect(afterFailure('WORKER_OUT_OF_MEMORY', '')).toEqual({ cpuTries: true, remember: false });
  expect(afterFailure('WORKER_START_FAILED', 'no such device')).toEqual({ cpuTries: true, remember: false });
  for (const code of [
    'INPUT_MISMATCH',
    'OUTPUT_TOO_LARGE',
    'WORKER_TIMEOUT',
    'WORKER_OUT_OF_VRAM',
    'CANCELLED',
    'WORKER_PROTOCOL',
    'WORKER_STOPPED',
  ] as const) {
    expect(afterFailure(code, '').cpuTries).toBe(false);
  }
});
