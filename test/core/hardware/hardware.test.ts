import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HardwareReport } from '../../../core/contract/hardware.ts';
import { reportAdapters } from '../../../core/hardware/adapters.ts';
import { gpusFromAdapters, gpusFromPci, type ReportedAdapter } from '../../../core/hardware/gpus.ts';
import { readPciAdapters } from '../../../core/hardware/pci.ts';
import { readHardware } from '../../../core/hardware/read.ts';

test('this machine is described, within 3 seconds', async () => {
  const startedAt = performance.now();
  const report = await readHardware({ dataDir: tmpdir() });
  expect(performance.now() - startedAt).toBeLessThan(3000);
  expect(HardwareReport.parse(report)).toEqual(report);
  expect(report.disk.freeBytes).toBeGreaterThan(0);
  expect(report.memory.totalBytes).toBeGreaterThan(2 ** 28);
});

test('what is not known is null and not an error', async () => {
  const report = await readHardware({ dataDir: join(tmpdir(), 'hearthlend-no-such-folder'), nodePath: '/no/such/node' });
  expect(report.disk.freeBytes).toBeNull();
});

/** Adapters as systeminformation gives them for real machines: what lspci, nvidia-smi, WMI and system_profiler say there. */
test.each<[string, string, ReportedAdapter, { name?: string; vendor?: string; vramBytes?: number | null; software: boolean }]>([
  [
    'an NVIDIA card whose driver answers',
    'linux',
    { vendor: 'NVIDIA Corporation', model: 'GA102 [GeForce RTX 3080]', name: 'NVIDIA GeForce RTX 3080', vram: 10_240, memoryTotal: 10_240 },
    { vendor: 'NVIDIA', name: 'NVIDIA GeForce RTX 3080', vramBytes: 10_240 * 2 ** 20, software: false },
  ],
  [
    'an NVIDIA card without its driver, where the PCI window is no memory size',
    'linux',
    { vendor: 'NVIDIA Corporation', model: 'GP104 [GeForce GTX 1070 Ti]', vram: 256, vramDynamic: false },
    { vendor: 'NVIDIA', name: 'GP104 [GeForce GTX 1070 Ti]', vramBytes: null, software: false },
  ],
  [
    'an AMD card on Linux',
    'linux',
    { vendor: 'Advanced Micro Devices, Inc. [AMD/ATI]', model: 'Navi 22 [Radeon RX 6700/6700 XT / 6800M]', vram: 256 },
    { vendor: 'AMD', vramBytes: null, software: false },
  ],
  [
    'an AMD card on Windows',
    'win32',
    { vendor: 'Advanced Micro Devices, Inc.', model: 'AMD Radeon RX 6700 XT', vram: 12_272, vramDynamic: false },
    { vendor: 'AMD', name: 'AMD Radeon RX 6700 XT', vramBytes: 12_272 * 2 ** 20, software: false },
  ],
  [
    'shared memory of an integrated GPU',
    'win32',
    { vendor: 'Intel Corporation', model: 'Intel(R) UHD Graphics 770', vram: 1024, vramDynamic: true },
    { vendor: 'Intel', vramBytes: null, software: false },
  ],
  [
    'Apple silicon',
    'darwin',
    { vendor: 'Apple', model: 'Apple M2 Pro', vram: null, vramDynamic: true },
    { vendor: 'Apple', vramBytes: null, software: false },
  ],
  ['a renderer of Mesa on the CPU', 'linux', { vendor: 'Mesa', model: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, { software: true }],
  ['SwiftShader', 'linux', { vendor: 'Google Inc.', model: 'SwiftShader Device (Subzero)' }, { software: true }],
  ["Windows' own renderer", 'win32', { vendor: 'Microsoft', model: 'Microsoft Basic Render Driver', vram: 0 }, { software: true }],
  ['Hyper-V', 'win32', { vendor: 'Microsoft', model: 'Microsoft Hyper-V Video' }, { software: true }],
  ['a remote desktop', 'win32', { vendor: 'Microsoft', model: 'Microsoft Remote Display Adapter' }, { software: true }],
  ['virtio', 'linux', { vendor: 'Red Hat, Inc.', model: 'Virtio 1.0 GPU' }, { software: true }],
  ['QXL', 'linux', { vendor: 'Red Hat, Inc.', model: 'QXL paravirtual graphic card' }, { software: true }],
  ['VMware', 'linux', { vendor: 'VMware', model: 'SVGA II Adapter' }, { software: true }],
  ['VirtualBox', 'linux', { vendor: 'InnoTek Systemberatung GmbH', model: 'VirtualBox Graphics Adapter' }, { software: true }],
  ['Cirrus', 'linux', { vendor: 'Cirrus Logic', model: 'GD 5446' }, { software: true }],
  ["a server board's console", 'linux', { vendor: 'ASPEED Technology, Inc.', model: 'ASPEED Graphics Family' }, { software: true }],
  ['an added display', 'win32', { vendor: 'Parsec Cloud, Inc.', model: 'Parsec Virtual Display Adapter' }, { software: true }],
])('%s is recognised', (_what, platform, adapter, { software, ...expected }) => {
  const { gpus, softwareAdapters } = gpusFromAdapters([adapter, { vendor: '', model: '' }], platform);
  expect(software ? softwareAdapters : gpus).toEqual([expect.objectContaining(expected)]);
  expect(software ? gpus : softwareAdapters).toEqual([]);
});

test('a PCI bus without lspci still tells the GPUs, with the names and sizes that drivers give', async () => {
  const root = await mkdtemp(join(tmpdir(), 'hearthlend-pci-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const device = async (address: string, files: Record<string, string>): Promise<void> => {
    const folder = join(root, 'sys/bus/pci/devices', address);
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), `${content}\n`);
  };
  await device('0000:00:01.0', { class: '0x020000', vendor: '0x1af4', device: '0x1041' });
  await device('0000:00:02.0', { class: '0x030000', vendor: '0x1234', device: '0x1111' });
  await device('0000:03:00.0', { class: '0x030000', vendor: '0x1002', device: '0x73df', mem_info_vram_total: '12868124672' });
  await device('0000:18:00.0', { class: '0x030200', vendor: '0x10de', device: '0x2335' });
  const nvidia = join(root, 'proc/driver/nvidia/gpus/0000:18:00.0');
  await mkdir(nvidia, { recursive: true });
  await writeFile(join(nvidia, 'information'), 'Model: \t\t NVIDIA H200\nIRQ:   \t\t 0\nGPU UUID: \t GPU-00000000\n');
  expect(gpusFromPci(await readPciAdapters(root))).toMatchObject({
    gpus: [
      { id: '0000:03:00.0', vendor: 'AMD', name: 'PCI device 1002:73df', vramBytes: 12_868_124_672 },
      { id: '0000:18:00.0', vendor: 'NVIDIA', name: 'NVIDIA H200', vramBytes: null },
    ],
    softwareAdapters: [{ vendor: 'QEMU', name: 'PCI device 1234:1111' }],
  });
  expect(await readPciAdapters(join(root, 'none'))).toEqual([]);
});

test('a driver that hangs is killed with everything it started, and the answer is empty', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-hang-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const pidFile = join(folder, 'pid');
  // The grandchild inherits the output, so waiting for its end would be waiting for ever.
  const hang = `const { spawn } = require('node:child_process');
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
    require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
    for (;;) {}`;
  expect(await reportAdapters(process.execPath, 1500, hang)).toEqual([]);
  const pid = Number(await readFile(pidFile, 'utf8'));
  await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false);
});

test('rubbish, endless output and a Node that is not there give an empty answer', async () => {
  expect(await reportAdapters(process.execPath, 2500, 'console.log("{]")')).toEqual([]);
  expect(await reportAdapters(process.execPath, 2500, 'process.exit(3)')).toEqual([]);
  expect(await reportAdapters(process.execPath, 2500, 'process.stdout.write("x".repeat(2 << 20))')).toEqual([]);
  expect(await reportAdapters('/no/such/node', 2500)).toEqual([]);
  const odd = 'process.stdout.write(JSON.stringify([{ vendor: 1, model: "GPU", vram: "many", memoryTotal: null, other: {} }]))';
  expect(await reportAdapters(process.execPath, 2500, odd)).toEqual([{ model: 'GPU', vram: null }]);
});

/** An ended process that nobody waited for (a zombie) is not running. */
function isRunning(pid: number): boolean {
  try {
    if (process.platform === 'linux') return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
