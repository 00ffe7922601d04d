import { expect, test } from 'vitest';
import { machineRows } from '../../cli/commands/doctor-machine.ts';
import type { HardwareReport } from '../../core/contract/hardware.ts';
import { ref } from '../../core/contract/messages.ts';
import { gpu } from '../fakes/hardware.ts';

const NOTHING: HardwareReport = {
  os: { platform: 'linux', name: 'Debian GNU/Linux 13', release: '6.17.0', arch: 'x64' },
  machine: { formFactor: null, name: null, virtualMachine: null, hypervisor: null, container: null, wsl: false },
  cpu: { model: 'AMD Ryzen 7 5800H', cores: 16 },
  memory: { totalBytes: 16 * 2 ** 30 },
  power: { source: null, percent: null },
  gpus: [],
  softwareAdapters: [],
  disk: { freeBytes: null },
  problems: [],
};
const said = (report: Partial<HardwareReport>) => machineRows({ ...NOTHING, ...report }).map((row) => row.join(': '));

test('a machine of which little is known is told without a guess', () => {
  expect(said({})).toEqual([
    'System: Debian GNU/Linux 13 6.17.0 (x64)',
    'Kind: unknown',
    'Processor: AMD Ryzen 7 5800H, 16 cores',
    'Memory: 16 GB',
    'Free disk: unknown',
    'GPU: none found',
  ]);
});

test("a hybrid laptop's GPUs are each told with what is known, and what stands in the way with what helps", () => {
  const integrated = gpu({
    id: '0000:06:00.0',
    name: 'AMD Radeon Graphics',
    pci: { address: '0000:06:00.0', vendorId: '1002', deviceId: '1638' },
    vramBytes: null,
    kind: 'integrated',
    driver: 'amdgpu',
    driverVersion: '6.17.0',
    apis: { cuda: null, vulkan: null, directx: null, metal: null },
    link: null,
  });
  const name = 'NVIDIA GeForce RTX 3060 Laptop GPU';
  const card = gpu({ name, vramBytes: 6 * 2 ** 30, link: { width: 8, maxWidth: 16, generation: 1, maxGeneration: 4 } });
  const lines = said({
    machine: { ...NOTHING.machine, formFactor: 'laptop', name: 'LENOVO 82JW' },
    power: { source: 'battery', percent: 63.4 },
    gpus: [card, integrated],
    problems: [{ gpu: card.id, what: ref('hardware.nvidia-no-driver', { name }), next: ref('hardware.nvidia-no-driver.next', { name }) }],
  });
  expect(lines).toEqual(
    expect.arrayContaining([
      'Kind: LENOVO 82JW · Laptop',
      'Power: from the battery, 63% charged',
      'GPU: NVIDIA GeForce RTX 3060 Laptop GPU: 6 GB of its own · a card of its own',
      'Driver: nvidia 580.95.05',
      'Understands: CUDA 13.0, Vulkan 1.4.312',
      'Link: 8 of 16 lanes, PCI Express 1 of 4',
      'Address: 0000:01:00.0',
      "GPU: AMD Radeon Graphics: shares the PC's memory · in the processor",
      'Understands: unknown',
      'Problem: NVIDIA GeForce RTX 3060 Laptop GPU has no driver that can compute.',
      expect.stringMatching(/^Remedy: Install NVIDIA's own driver/),
    ]),
  );
});

test('a divided GPU is told once, and each slice with its memory', () => {
  const parent = gpu({ name: 'NVIDIA A100-SXM4-80GB', mig: { role: 'parent', slices: ['0000:01:00.0/gi3/ci0'] } });
  const slice = gpu({
    ...parent,
    id: '0000:01:00.0/gi3/ci0',
    vramBytes: 20 * 2 ** 30,
    mig: { role: 'slice', parent: parent.id, gpuInstance: 3, computeInstance: 0 },
  });
  const lines = said({ gpus: [parent, slice] });
  expect(lines.filter((line) => line.startsWith('Driver'))).toHaveLength(1);
  expect(lines.slice(-2)).toEqual([
    'GPU: NVIDIA A100-SXM4-80GB: 20 GB of its own · a card of its own · a slice of a larger GPU',
    'Address: 0000:01:00.0/gi3/ci0',
  ]);
});
