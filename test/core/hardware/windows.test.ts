import { expect, test } from 'vitest';
import { isSoftwareAdapter } from '../../../core/contract/hardware.ts';
import { parseDirectxRegistry } from '../../../core/hardware/directx.ts';
import { joinSightings } from '../../../core/hardware/join.ts';
import { parseSystemInformation, systemInformation } from '../../../core/hardware/system-information.ts';
import { askTool } from '../../../core/hardware/tool.ts';

// In the format of `reg query`; no recording of one was found.
test("DirectX's list tells memory above 4 GiB, feature level and what is no GPU", () => {
  const listed = `
HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\DirectX
    Version    REG_SZ    4.09.00.0904

HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\DirectX\\{00000000-0000-0000-0000-000000000001}
    VendorId    REG_DWORD    0x10de
    DeviceId    REG_DWORD    0x2684
    Description    REG_SZ    NVIDIA GeForce RTX 4090
    DedicatedVideoMemory    REG_QWORD    0x5fd400000
    MaxD3D12FeatureLevel    REG_DWORD    0xc200

HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\DirectX\\{00000000-0000-0000-0000-000000000002}
    VendorId    REG_DWORD    0x1002
    DeviceId    REG_DWORD    0x164e
    Description    REG_SZ    AMD Radeon(TM) Graphics
    DedicatedVideoMemory    REG_QWORD    0x20000000

HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\DirectX\\{00000000-0000-0000-0000-000000000003}
    VendorId    REG_DWORD    0x1414
    DeviceId    REG_DWORD    0x8c
    Description    REG_SZ    Microsoft Basic Render Driver
    DedicatedVideoMemory    REG_QWORD    0x0
    MaxD3D12FeatureLevel    REG_DWORD    0xc100
`.replaceAll('\n', '\r\n');
  expect(joinSightings(parseDirectxRegistry(listed))).toMatchObject({
    gpus: [
      { name: 'NVIDIA GeForce RTX 4090', vramBytes: 25_723_666_432, apis: { directx: '12.2' } },
      // It has had no screen yet, so DirectX has not looked what it can.
      { name: 'AMD Radeon(TM) Graphics', apis: { directx: null } },
    ],
    softwareAdapters: [{ name: 'Microsoft Basic Render Driver', vendor: 'Microsoft' }],
  });
});

test('systeminformation tells the machine and its power, with what it does not know left out', () => {
  const answers = [
    {
      graphics: {
        controllers: [
          { vendor: 'NVIDIA', model: 'NVIDIA GeForce RTX 3080', vram: 10_240, memoryTotal: 10_240, pciBus: '0000:01:00.0' },
          { vendor: '', model: '' },
        ],
        displays: [],
      },
    },
    { battery: { hasBattery: true, acConnected: false, percent: 71 } },
    { system: { manufacturer: 'ASUSTeK COMPUTER INC.', model: 'ROG Strix G713PI', serial: 'X1', uuid: 'X2', virtual: false } },
    { chassis: { type: 'Notebook' } },
  ].map((answer) => JSON.stringify(answer));
  const output = answers.join('\n');
  expect(parseSystemInformation(output)).toMatchObject({
    sightings: [{ address: '0000:01:00.0', vendor: 'NVIDIA', vramBytes: 10_240 * 2 ** 20 }],
    machine: { name: 'ASUSTeK COMPUTER INC. ROG Strix G713PI', formFactor: 'laptop', virtualMachine: false, hypervisor: null },
    power: { source: 'battery', percent: 71 },
  });
  // Of one that was ended in the middle, what had come counts.
  expect(parseSystemInformation(`${answers[0]}\n{"battery":{"hasBat`)).toMatchObject({
    sightings: [{ name: 'NVIDIA GeForce RTX 3080' }],
    machine: { name: null, formFactor: null, virtualMachine: null },
    power: { source: null, percent: null },
  });
  expect(parseSystemInformation('rubbish')).toBeNull();
});

test('systeminformation answers when it is asked in a process of its own', async () => {
  const answer = await askTool(systemInformation(process.execPath), 20_000);
  expect(answer.outcome).toBe('answered');
  expect(parseSystemInformation(answer.outcome === 'answered' ? answer.output : '')).not.toBeNull();
});

test.each([
  'llvmpipe (LLVM 15.0.6, 256 bits)',
  'SwiftShader Device (Subzero)',
  'Microsoft Basic Render Driver',
  'Microsoft Hyper-V Video',
  'Microsoft Remote Display Adapter',
  'Red Hat, Inc. Virtio 1.0 GPU',
  'Red Hat, Inc. QXL paravirtual graphic card',
  'VMware SVGA II Adapter',
  'InnoTek Systemberatung GmbH VirtualBox Graphics Adapter',
  'Cirrus Logic GD 5446',
  'ASPEED Technology, Inc. ASPEED Graphics Family',
  'Parsec Virtual Display Adapter',
  'spacedesk Graphics Adapter',
])('%s has no GPU behind it', (name) => {
  expect(isSoftwareAdapter(name)).toBe(true);
});

test.each([
  'NVIDIA GeForce RTX 3080',
  'AMD Radeon(TM) Graphics',
  'Intel(R) UHD Graphics 770',
  'Apple M2 Pro',
  'Qualcomm(R) Adreno(TM) X1-85 GPU',
])('%s has one', (name) => {
  expect(isSoftwareAdapter(name)).toBe(false);
});
