import { expect, test } from 'vitest';
import { backendRows } from '../../cli/commands/doctor-backends.ts';
import { type Backend, type BackendReport, withBackends } from '../../core/contract/backends.ts';
import type { Gpu } from '../../core/contract/hardware.ts';
import { ref } from '../../core/contract/messages.ts';
import { practising } from '../fakes/snapshots.ts';

const { hardware, backends } = practising();
const cpuOnly = withBackends(hardware as NonNullable<typeof hardware>, backends);
const text = (report: BackendReport, machine = cpuOnly) =>
  backendRows({ hardware: withBackends(machine, report), computing: report }).map((row) => row.join(': '));

test('a machine without a GPU says that the CPU computes, and what its kernel took', () => {
  expect(text({ ...backends, gpus: [] }, { ...cpuOnly, gpus: [] })).toEqual([
    expect.stringMatching(/^Backend: CPU works on .+ \(first answer after 240.0 ms\)$/),
    'Computing on: No usable GPU was found: the CPU computes.',
  ]);
});

test('each backend of a GPU says whether it works, why not, and what would change that; then who computes', () => {
  const base = { software: false, reason: null, remedy: null, difference: 3e-7, firstMs: 812.4, runMs: 0.2, testedAt: 1 };
  const webgpu: Backend = { ...base, name: 'webgpu', works: true };
  const cuda: Backend = {
    ...{ ...base, name: 'cuda', works: false, difference: null, firstMs: null, runMs: null },
    ...{ reason: ref('backend.cuda-not-added'), remedy: ref('backend.cuda-not-added.remedy') },
  };
  const gpu: Gpu = {
    ...{ id: '0000:01:00.0', vendor: 'NVIDIA', name: 'NVIDIA GeForce RTX 3090', model: null, pci: null, vramBytes: 24 * 2 ** 30 },
    ...{ driver: 'nvidia', driverVersion: '570.86.16', kind: 'discrete', external: false, link: null, mig: null },
    apis: { cuda: '12.8', vulkan: '1.4', directx: null, metal: null },
  };
  const machine = { ...cpuOnly, gpus: [{ ...gpu, backends: [] }] };
  const workers = [{ gpu: gpu.id, backend: 'webgpu' as const, memoryBytes: 2 ** 30 }];
  const lines = text({ cpu: backends.cpu, gpus: [{ gpu: gpu.id, backends: [cuda, webgpu] }], workers, reason: null }, machine);
  expect(lines).toContain(`Backend: CUDA does not work on ${gpu.name}. The CUDA libraries of ONNX Runtime are not added yet.`);
  expect(lines).toContain('Remedy: One command: hearthlend backend add cuda');
  expect(lines).toContain(`Backend: WebGPU works on ${gpu.name} (first answer after 812.4 ms, 3.0e-7 from the CPU's)`);
  expect(lines.at(-1)).toBe(`Computing on: ${gpu.name} through WebGPU`);
});
