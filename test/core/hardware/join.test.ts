import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gpu } from '../../../core/contract/hardware.ts';
import { joinSightings } from '../../../core/hardware/join.ts';
import type { Sighting } from '../../../core/hardware/sighting.ts';

const MIB = 2 ** 20;

test('what several sources tell of one card is one GPU, each fact from whom knows it best', () => {
  const sightings: Sighting[] = [
    {
      source: 'vulkaninfo',
      vendorId: '1002',
      deviceId: '73df',
      vendor: 'AMD',
      name: 'AMD Radeon RX 6700 XT',
      vulkan: '1.4.318',
      kind: 'discrete',
    },
    { source: 'rocm-smi', address: '0000:03:00.0', vendor: 'AMD', name: 'AMD Radeon RX 6700/6700 XT / 6800M', vramBytes: 12_272 * MIB },
    { source: 'lspci', address: '0000:03:00.0', vendor: 'AMD', name: 'AMD Radeon RX 6700/6700 XT / 6800M', model: 'Navi 22' },
    { source: 'pci', address: '0000:03:00.0', vendorId: '1002', deviceId: '73df', vendor: 'AMD', driver: 'amdgpu', external: false },
  ];
  expect(joinSightings(sightings)).toMatchObject({
    gpus: [
      {
        id: '0000:03:00.0',
        name: 'AMD Radeon RX 6700 XT',
        model: 'Navi 22',
        vramBytes: 12_272 * MIB,
        driver: 'amdgpu',
        external: false,
        kind: 'discrete',
        apis: { vulkan: '1.4.318' },
      },
    ],
    softwareAdapters: [],
  });
});

test('two identical cards stay two, however few of the sources tell their address', () => {
  const twice = (sighting: Sighting): Sighting[] => [sighting, sighting];
  const { gpus } = joinSightings([
    ...twice({ source: 'systeminformation', vendor: 'NVIDIA', name: 'NVIDIA GeForce GTX 1080 Ti', driverVersion: '31.0.15' }),
    ...twice({
      source: 'directx',
      vendorId: '10de',
      deviceId: '1b06',
      vendor: 'NVIDIA',
      name: 'NVIDIA GeForce GTX 1080 Ti',
      directx: '12.1',
    }),
    ...['0000:01:00.0', '0000:02:00.0'].map(
      (address): Sighting => ({
        source: 'nvidia-smi',
        address,
        vendorId: '10de',
        deviceId: '1b06',
        vendor: 'NVIDIA',
        name: 'NVIDIA GeForce GTX 1080 Ti',
        vramBytes: 11_264 * MIB,
      }),
    ),
  ]);
  expect(gpus).toHaveLength(2);
  expect(gpus).toMatchObject(['0000:01:00.0', '0000:02:00.0'].map((id) => ({ id, vramBytes: 11_264 * MIB, apis: { directx: '12.1' } })));
});

test('in WSL, where no bus shows the card, nvidia-smi and Vulkan tell of one', () => {
  const { gpus, softwareAdapters } = joinSightings([
    { source: 'pci', address: '0000:00:05.0', vendorId: '1414', deviceId: '008e', vendor: 'Microsoft', software: true },
    {
      source: 'nvidia-smi',
      address: '0000:01:00.0',
      vendorId: '10de',
      deviceId: '2482',
      vendor: 'NVIDIA',
      name: 'NVIDIA GeForce RTX 3070 Ti',
    },
    { source: 'vulkaninfo', vendorId: '10de', deviceId: '2482', vendor: 'NVIDIA', name: 'NVIDIA GeForce RTX 3070 Ti' },
  ]);
  expect(gpus.map(({ id }) => id)).toEqual(['0000:01:00.0']);
  expect(softwareAdapters).toEqual([{ name: 'PCI device 1414:008e', vendor: 'Microsoft' }]);
});

test('a card that was taken out of a machine is not there for being in the list that DirectX keeps', () => {
  const present: Sighting = {
    source: 'systeminformation',
    vendorId: '10de',
    deviceId: '2684',
    vendor: 'NVIDIA',
    name: 'NVIDIA GeForce RTX 4090',
  };
  const kept: Sighting = { source: 'directx', vendorId: '10de', deviceId: '1b06', vendor: 'NVIDIA', name: 'NVIDIA GeForce GTX 1080 Ti' };
  expect(joinSightings([kept, present]).gpus.map(({ name }) => name)).toEqual(['NVIDIA GeForce RTX 4090']);
  // With nothing better, it is what is known.
  expect(joinSightings([kept]).gpus).toHaveLength(1);
});

test('memory that Windows lends an integrated GPU is not its own', () => {
  const { gpus } = joinSightings([
    { source: 'vulkaninfo', vendorId: '8086', deviceId: '4680', vendor: 'Intel', name: 'Intel(R) UHD Graphics 770', kind: 'integrated' },
    { source: 'systeminformation', vendor: 'Intel', name: 'Intel(R) UHD Graphics 770', vramBytes: 1024 * MIB },
  ]);
  expect(gpus).toMatchObject([{ kind: 'integrated', vramBytes: null, external: false }]);
});

const address = fc.constantFrom('0000:01:00.0', '0000:02:00.0', '0000:00:02.0', null);
const anySighting: fc.Arbitrary<Sighting> = fc.record({
  source: fc.constantFrom('pci', 'lspci', 'nvidia-smi', 'rocm-smi', 'systeminformation', 'vulkaninfo'),
  address,
  vendorId: fc.constantFrom('10de', '1002', '8086', null),
  deviceId: fc.constantFrom('2684', '744c', null),
  name: fc.constantFrom('NVIDIA GeForce RTX 4090', 'AMD Radeon RX 7900 XTX', null),
  vramBytes: fc.constantFrom(24 * 2 ** 30, null),
  software: fc.constantFrom(false, false, true),
});

test('whatever the sources say, each GPU is within the contract, and no address is told twice', () => {
  fc.assert(
    fc.property(fc.array(anySighting, { maxLength: 12 }), (sightings) => {
      const { gpus } = joinSightings(sightings);
      for (const gpu of gpus) expect(Gpu.parse(gpu)).toEqual(gpu);
      expect(new Set(gpus.map(({ id }) => id)).size).toBe(gpus.length);
    }),
  );
});
