import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Gpu } from '../../../core/contract/hardware.ts';
import { parseAmdSmi, parseRocmSmi } from '../../../core/hardware/amd.ts';
import { joinSightings } from '../../../core/hardware/join.ts';
import { parseLspci } from '../../../core/hardware/lspci.ts';
import { parseSmartBattery, parseSystemProfiler } from '../../../core/hardware/mac.ts';
import { nvidiaComplaint, parseNvidiaSmi } from '../../../core/hardware/nvidia-smi.ts';
import type { Sighting } from '../../../core/hardware/sighting.ts';
import { sightingsOf } from '../../../core/hardware/system-information.ts';
import { parseVulkaninfo } from '../../../core/hardware/vulkaninfo.ts';

/** Where each is from, and what was cut of it: SOURCES.md beside them. */
const FIXTURES = join(import.meta.dirname, '../../fixtures/hardware');
const MIB = 2 ** 20;

const PARSERS: Record<string, (text: string) => Sighting[] | null> = {
  'nvidia-smi': parseNvidiaSmi,
  'rocm-smi': parseRocmSmi,
  'amd-smi': parseAmdSmi,
  lspci: parseLspci,
  vulkaninfo: parseVulkaninfo,
  'system-profiler': (text) => parseSystemProfiler(text)?.sightings ?? null,
  systeminformation: (text) => sightingsOf(JSON.parse(text)),
};

function recording(path: string): ReturnType<typeof joinSightings> {
  const [tool = ''] = path.split('/');
  return joinSightings(PARSERS[tool]?.(readFileSync(join(FIXTURES, path), 'utf8')) ?? []);
}

const nvidia = (id: string, name: string, vramMiB: number | null, facts: object = {}) => ({
  id,
  vendor: 'NVIDIA',
  name: `NVIDIA ${name}`,
  vramBytes: vramMiB === null ? null : vramMiB * MIB,
  driver: 'nvidia',
  kind: 'discrete',
  ...facts,
});
const slice = (gpuInstance: number) =>
  nvidia(`0000:01:00.0/gi${gpuInstance}/ci0`, 'A100-SXM4-80GB', 19_968, {
    mig: { role: 'slice', parent: '0000:01:00.0', gpuInstance, computeInstance: 0 },
  });
const link = (width: number, maxWidth: number, generation: number, maxGeneration: number) => ({
  link: { width, maxWidth, generation, maxGeneration },
});
const mi100 = (id: string, driverVersion: string) => ({ id, name: 'AMD Instinct MI100', model: 'Arcturus GL-XL', driverVersion });
const intel = (name: string, facts: object = {}) => ({
  id: '0000:00:02.0',
  vendor: 'Intel',
  name,
  kind: 'integrated',
  external: false,
  ...facts,
});
const apple = (name: string, metal: string | null) => ({
  id: 'gpu-0',
  vendor: 'Apple',
  name,
  pci: null,
  vramBytes: null,
  kind: 'integrated',
  external: false,
  apis: { metal },
});

test.each<[string, object[]]>([
  ['nvidia-smi/410m-laptop-head.xml', [nvidia('0000:01:00.0', 'GeForce 410M', null, { driverVersion: '390.157', apis: { cuda: null } })]],
  [
    'nvidia-smi/a100-sxm4-v12.xml',
    [
      nvidia('0000:01:00.0', 'A100-SXM4-80GB', 81_920, {
        pci: { address: '0000:01:00.0', vendorId: '10de', deviceId: '20b2' },
        mig: { role: 'parent', slices: [3, 4, 5, 6].map((instance) => `0000:01:00.0/gi${instance}/ci0`) },
      }),
      slice(3),
      slice(4),
      slice(5),
      slice(6),
    ],
  ],
  // Its publisher wiped the id.
  ['nvidia-smi/a10g.xml', [nvidia('0000:00:1e.0', 'A10G', 23_028, { pci: { address: '0000:00:1e.0', vendorId: '10de', deviceId: null } })]],
  ['nvidia-smi/gt-730-head.xml', [nvidia('0000:01:00.0', 'GeForce GT 730', null, { apis: { cuda: '11.2' } })]],
  ['nvidia-smi/gtx-1050-ti-head.xml', [nvidia('0000:2d:00.0', 'GeForce GTX 1050 Ti', null)]],
  [
    'nvidia-smi/gtx-1070-ti.xml',
    [
      nvidia('0000:01:00.0', 'GeForce GTX 1070 Ti', 4096, {
        driverVersion: null,
        link: { width: 16, maxWidth: null, generation: 1, maxGeneration: null },
      }),
    ],
  ],
  // The driver is older than the card and has no name for it.
  [
    'nvidia-smi/gtx-1660-ti.xml',
    [nvidia('0000:43:00.0', '', 5912, { name: 'PCI device 10de:2184', driverVersion: '418.43', ...link(16, 16, 1, 3) })],
  ],
  ['nvidia-smi/gtx-950-head.xml', [nvidia('0000:05:00.0', 'GeForce GTX 950', null)]],
  ['nvidia-smi/quadro-p2000-v12.xml', [nvidia('0000:17:00.0', 'Quadro P2000', 5120, link(8, 16, 1, 3))]],
  [
    'nvidia-smi/rtx-2080-ti-twice.xml',
    [nvidia('0000:3b:00.0', 'GeForce RTX 2080 Ti', 11_019), nvidia('0000:d8:00.0', 'GeForce RTX 2080 Ti', 11_019)],
  ],
  ['nvidia-smi/rtx-3060-v12.xml', [nvidia('0000:2d:00.0', 'GeForce RTX 3060', 12_288, { apis: { cuda: '12.8' } })]],
  ['nvidia-smi/rtx-3080-ti-windows-head.xml', [nvidia('0000:01:00.0', 'GeForce RTX 3080 Ti', null, { driverVersion: '531.41' })]],
  ['nvidia-smi/rtx-3080-v12.xml', [nvidia('0000:04:00.0', 'GeForce RTX 3080', 10_240, link(16, 16, 4, 4))]],
  ['nvidia-smi/rtx-3090-v12.xml', [nvidia('0000:00:10.0', 'GeForce RTX 3090', 24_576)]],
  ['nvidia-smi/rtx-4000-sff-ada-v13.xml', [nvidia('0000:06:00.0', 'RTX 4000 SFF Ada Generation', 20_475, { apis: { cuda: '13.2' } })]],
  ['nvidia-smi/rtx-4070-laptop.xml', [nvidia('0000:01:00.0', 'GeForce RTX 4070 Laptop GPU', 8188, link(8, 8, 2, 4))]],
  ['nvidia-smi/rtx-4090-linux-head.xml', [nvidia('0000:84:00.0', 'GeForce RTX 4090', null, { mig: null })]],
  ['nvidia-smi/rtx-4090-wsl2-head.xml', [nvidia('0000:01:00.0', 'GeForce RTX 4090', null, { driverVersion: '591.74' })]],
  ['nvidia-smi/tesla-t4.xml', [nvidia('0000:00:1e.0', 'Tesla T4', 15_360, { mig: null })]],
  ['rocm-smi/mi100_rocm571.json', ['1e', '22', '3f', '43', '46', '49'].map((bus) => mi100(`0000:${bus}:00.0`, '6.2.4'))],
  ['rocm-smi/mi100_rocm602.json', ['83', 'a3', 'c3', 'e3'].map((bus) => mi100(`0000:${bus}:00.0`, '6.3.6'))],
  ['rocm-smi/mi250x.json', [{ id: 'gpu-0', vendor: 'AMD', pci: { address: null, vendorId: '1002', deviceId: '7408' }, kind: 'discrete' }]],
  ['rocm-smi/radeon-780m.json', [{ id: '0000:c4:00.0', name: 'AMD Phoenix3', vramBytes: null, kind: 'integrated' }]],
  ['rocm-smi/rx6700xt_rocm430.json', [{ id: '0000:07:00.0', name: 'PCI device 1002:73df', vramBytes: 12_272 * MIB }]],
  [
    'rocm-smi/rx6700xt_rocm571.json',
    [{ id: '0000:07:00.0', name: 'AMD Radeon RX 6700/6700 XT / 6800M', model: 'Navi 22', vramBytes: 12_272 * MIB, kind: 'discrete' }],
  ],
  ['rocm-smi/rx6700xt_rocm602.json', [{ id: '0000:07:00.0', model: 'Navi 22', driverVersion: '6.3.6' }]],
  [
    'rocm-smi/rx7800xt_rocm624.json',
    [{ name: 'AMD Radeon RX 7700 XT / 7800 XT', model: 'Navi 32', vramBytes: 17_163_091_968, kind: 'discrete' }],
  ],
  ['rocm-smi/rx7900xt.json', [{ name: 'AMD Radeon RX 7900 XT', vramBytes: 21_458_059_264, kind: 'discrete' }]],
  ['rocm-smi/vega-20-WKS-GL-XE.json', [{ id: '0000:63:00.0', name: 'AMD Radeon Instinct MI50 32GB', kind: 'discrete' }]],
  [
    'amd-smi/mi210.json',
    [
      {
        name: 'AMD Instinct MI210',
        vramBytes: 65_520 * MIB,
        driverVersion: '6.14.0-24-generic',
        link: { width: null, maxWidth: 16, generation: null, maxGeneration: 4 },
      },
    ],
  ],
  ['lspci/arc-a380.txt', [{ id: '0000:09:00.0', vendor: 'Intel', name: 'Intel Arc A380', model: 'DG2', kind: 'discrete', driver: null }]],
  ['lspci/arc-a770.txt', [{ id: '0000:04:00.0', name: 'Intel Arc A770', kind: 'discrete', driver: 'i915' }]],
  ['lspci/arc-b580.txt', [{ id: '0000:29:00.0', name: 'Intel Arc B580', model: 'Battlemage G21', kind: 'discrete' }]],
  [
    'lspci/desktop-hybrid-rtx-3080-ti.txt',
    [intel('AlderLake-S GT1'), { id: '0000:01:00.0', name: 'NVIDIA GeForce RTX 3080 Ti', model: 'GA102', kind: 'discrete' }],
  ],
  [
    'lspci/egpu-rtx-2060.txt',
    [
      intel('Comet Lake UHD Graphics'),
      { id: '0000:02:00.0', name: 'NVIDIA GeForce GTX 1650 Mobile / Max-Q', driver: 'nvidia' },
      // lspci doesn't tell which is outside.
      { id: '0000:3c:00.0', name: 'NVIDIA GeForce RTX 2060 Rev. A', external: null },
    ],
  ],
  ['lspci/gtx-1650-mobile.txt', [{ pci: { address: '0000:01:00.0', vendorId: '10de', deviceId: '1f91' }, driver: 'nvidia' }]],
  ['lspci/iris-xe-laptop.txt', [intel('Intel Iris Xe Graphics', { model: 'TigerLake-LP GT2', driver: 'i915' })]],
  ['lspci/kvm-vm-without-display.txt', []],
  ['lspci/phoenix.txt', [{ id: '0000:63:00.0', vendor: 'AMD', name: 'Phoenix1', kind: 'integrated', driver: 'amdgpu' }]],
  ['lspci/radeon-610m.txt', [{ id: '0000:06:00.0', name: 'Raphael', kind: 'integrated' }]],
  ['lspci/radeon-680m.txt', [{ id: '0000:74:00.0', name: 'AMD Radeon 680M', model: 'Rembrandt', kind: 'integrated' }]],
  ['lspci/rtx-3080.txt', [{ id: '0000:3e:00.0', name: 'NVIDIA GeForce RTX 3080', driver: 'nvidia' }]],
  ['lspci/rtx-5090.txt', [{ id: '0000:c1:00.0', name: 'NVIDIA GeForce RTX 5090', model: 'GB202', driver: null }]],
  ['lspci/rtx-a400-not-in-list.txt', [{ id: '0004:01:00.0', vendor: 'NVIDIA', name: 'NVIDIA', model: null }]],
  ['lspci/rtx-a4000-arm.txt', [{ id: '0004:01:00.0', name: 'NVIDIA RTX A4000' }]],
  ['lspci/rx-480.txt', [{ id: '0000:01:00.0', model: 'Ellesmere', kind: 'discrete' }]],
  ['lspci/rx-640.txt', [{ id: '0000:01:00.0', model: 'Lexa', kind: 'discrete', driver: 'amdgpu' }]],
  ['lspci/rx-9070-xt.txt', [{ id: '0000:03:00.0', name: 'AMD Radeon RX 9070/9070 XT/9070 GRE', model: 'Navi 48', driver: 'amdgpu' }]],
  ['lspci/sandy-bridge-no-driver.txt', [{ id: '0000:00:02.0', vendor: 'Intel', kind: 'integrated', driver: null }]],
  ['lspci/xen-vm.txt', []],
  ['lspci/zbook-hybrid.txt', [intel('Intel UHD Graphics'), { id: '0000:01:00.0', name: 'NVIDIA T1200 Laptop GPU', model: 'TU117GLM' }]],
  [
    'lspci/zbook-hybrid-fallen-off.txt',
    [intel('Intel UHD Graphics', { driver: 'i915' }), { name: 'NVIDIA T1200 Laptop GPU', driver: null }],
  ],
  ['vulkaninfo/adreno-x1-85.txt', [{ vendor: 'Qualcomm', kind: 'integrated', driverVersion: '0.851.0', apis: { vulkan: '1.3.295' } }]],
  [
    'vulkaninfo/hybrid-rtx-4070-laptop.txt',
    [
      { vendor: 'Intel', name: 'Intel(R) Graphics', model: 'RPL-S', kind: 'integrated', driverVersion: 'Mesa 25.2.8-0ubuntu0.24.04.1' },
      { name: 'NVIDIA GeForce RTX 4070 Laptop GPU', kind: 'discrete', driverVersion: '580.95.05', apis: { vulkan: '1.4.312' } },
    ],
  ],
  ['vulkaninfo/jetson-orin.txt', [{ vendor: 'NVIDIA', name: 'NVIDIA Tegra Orin', pci: null, kind: 'integrated', vramBytes: null }]],
  ['vulkaninfo/rx-6600-xt.txt', [{ name: 'AMD Radeon RX 6600 XT', driverVersion: '2.0.279' }]],
  ['vulkaninfo/rx-9070-xt.txt', [{ name: 'AMD Radeon RX 9070 XT', model: 'GFX1201', driverVersion: 'Mesa 26.1.8' }]],
  ['vulkaninfo/swiftshader.txt', []],
  ['vulkaninfo/venus-llvmpipe.txt', []],
  // Vulkan spoken to Direct3D: neither its version nor its driver's is the GPU's.
  ['vulkaninfo/wsl2-dozen-twice.txt', [{ name: 'NVIDIA GeForce RTX 3070 Ti', driverVersion: null, apis: { vulkan: null } }]],
  ['system-profiler/apple-m1.json', [apple('Apple M1', '3')]],
  ['system-profiler/apple-m1-pro.json', [apple('Apple M1 Pro', '3')]],
  ['system-profiler/apple-m2-max.json', [apple('Apple M2 Max', '4')]],
  ['system-profiler/apple-m3-max.json', [apple('Apple M3 Max', null)]],
  ['system-profiler/apple-m4.json', [apple('Apple M4', '4')]],
  // Windows counts their memory in 32 bits.
  ['systeminformation/rx-5700-windows.json', [{ vendor: 'AMD', name: 'AMD Radeon RX 5700', vramBytes: null }]],
  [
    'systeminformation/gtx-1080-ti-twice-windows.json',
    [
      { id: 'gpu-0', name: 'NVIDIA GeForce GTX 1080 Ti', vramBytes: null },
      { id: 'gpu-1', name: 'NVIDIA GeForce GTX 1080 Ti' },
    ],
  ],
])('%s is read as the machine is', (path, expected) => {
  expect(recording(path).gpus).toMatchObject(expected);
});

test('what has no GPU behind it is told apart', () => {
  expect(recording('lspci/xen-vm.txt').softwareAdapters).toEqual([{ name: 'GD 5446', vendor: 'Cirrus Logic' }]);
  expect(recording('vulkaninfo/swiftshader.txt').softwareAdapters).toEqual([{ name: 'SwiftShader Device (Subzero)', vendor: 'Google' }]);
  expect(recording('vulkaninfo/venus-llvmpipe.txt').softwareAdapters).toHaveLength(1);
});

const ALL = Object.keys(PARSERS).flatMap((tool) => readdirSync(join(FIXTURES, tool)).map((file) => `${tool}/${file}`));

test.each(ALL)('of %s everything is within the contract, and nothing names one machine among all', (path) => {
  const { gpus, softwareAdapters } = recording(path);
  for (const gpu of gpus) expect(Gpu.parse(gpu)).toEqual(gpu);
  expect(new Set(gpus.map(({ id }) => id)).size).toBe(gpus.length);
  expect(JSON.stringify([gpus, softwareAdapters])).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|N\/A|not supported|deprecated|unknown/i);
});

test.each([
  ['mismatch.txt', 'mismatch'],
  ['mismatch-580.txt', 'mismatch'],
  ['not-loaded.txt', 'not-loaded'],
  ['blocked.txt', 'blocked'],
  ['lost.txt', 'no-devices'],
  ['no-devices.txt', 'no-devices'],
])('%s is why nvidia-smi gave no document', (file, why) => {
  const said = readFileSync(join(FIXTURES, 'nvidia-smi', file), 'utf8');
  expect(nvidiaComplaint(said)).toBe(why);
  expect(parseNvidiaSmi(said)).toBeNull();
});

test('a MacBook that nothing is plugged into runs on its battery', () => {
  const said = readFileSync(join(FIXTURES, 'ioreg/macbook-pro-m2-max.txt'), 'utf8');
  expect(parseSmartBattery(said)).toEqual({ source: 'battery', percent: 80 });
});
