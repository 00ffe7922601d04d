import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { joinSightings } from '../../../core/hardware/join.ts';
import { readLinuxMachine, readLinuxPower } from '../../../core/hardware/linux-machine.ts';
import { machineFromDmi, powerFromSupplies } from '../../../core/hardware/machine.ts';
import { readPciBus } from '../../../core/hardware/pci-bus.ts';

/** A root with these files in it, each with a line's end as the kernel gives it; `-> target` is a link. */
async function rootWith(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'hearthlend-root-'));
  onTestFinished(() => rm(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    if (content.startsWith('-> ')) await symlink(content.slice(3), join(root, path));
    else await writeFile(join(root, path), `${content}\n`);
  }
  return root;
}

const under = (folder: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));

test('a PCI bus without lspci still tells the GPUs, with the names and sizes that drivers give', async () => {
  const devices = 'sys/bus/pci/devices';
  const root = await rootWith({
    ...under(`${devices}/0000:00:01.0`, { class: '0x020000', vendor: '0x1af4', device: '0x1041' }),
    ...under(`${devices}/0000:00:02.0`, { class: '0x030000', vendor: '0x1234', device: '0x1111' }),
    ...under(`${devices}/0000:03:00.0`, {
      class: '0x030000',
      vendor: '0x1002',
      device: '0x73df',
      mem_info_vram_total: '12868124672',
      driver: '-> ../../../../bus/pci/drivers/amdgpu',
    }),
    ...under(`${devices}/0000:18:00.0`, { class: '0x030200', vendor: '0x10de', device: '0x2335', driver: '-> ../drivers/nvidia' }),
    ...under(`${devices}/0000:3c:00.0`, { class: '0x030000', vendor: '0x10de', device: '0x1f08', removable: 'removable' }),
    ...under(`${devices}/0000:4d:00.1`, { class: '0x038000', vendor: '0x8086', device: '0x56c0', physfn: '-> ../0000:4d:00.0' }),
    'proc/driver/nvidia/gpus/0000:18:00.0/information': 'Model: \t\t NVIDIA H200\nIRQ:   \t\t 0\nGPU UUID: \t GPU-00000000',
    'sys/module/nvidia/version': '580.95.05',
  });
  expect(joinSightings(await readPciBus(root, '6.17.0'))).toMatchObject({
    gpus: [
      {
        id: '0000:03:00.0',
        vendor: 'AMD',
        name: 'PCI device 1002:73df',
        vramBytes: 12_868_124_672,
        driver: 'amdgpu',
        // A driver that is the kernel's has its version.
        driverVersion: '6.17.0',
      },
      { id: '0000:18:00.0', vendor: 'NVIDIA', name: 'NVIDIA H200', vramBytes: null, driver: 'nvidia', driverVersion: '580.95.05' },
      { id: '0000:3c:00.0', external: true, driver: null },
      { id: '0000:4d:00.1', kind: 'virtual' },
    ],
    softwareAdapters: [{ vendor: 'QEMU', name: 'PCI device 1234:1111' }],
  });
  expect(await readPciBus(join(root, 'none'), '6.17.0')).toEqual([]);
});

test("an AMD card's link is that of its outer end, and the most is what card and slot can", async () => {
  const port = 'sys/devices/pci0000:00/0000:00:01.1';
  const up = `${port}/0000:01:00.0`;
  const down = `${up}/0000:02:00.0`;
  const gpu = `${down}/0000:03:00.0`;
  const end = (width: string, speed: string, maxSpeed: string) => ({
    current_link_width: width,
    max_link_width: '16',
    current_link_speed: `${speed} GT/s PCIe`,
    max_link_speed: `${maxSpeed} GT/s PCIe`,
  });
  const root = await rootWith({
    // A slot of generation 3, in which 8 lanes are wired up.
    ...under(port, { class: '0x060400', vendor: '0x1022', device: '0x1483', ...end('8', '2.5', '8.0') }),
    ...under(up, { class: '0x060400', vendor: '0x1002', device: '0x1478', ...end('8', '2.5', '16.0') }),
    ...under(down, { class: '0x060400', vendor: '0x1002', device: '0x1479', ...end('16', '16.0', '16.0') }),
    ...under(gpu, { class: '0x030000', vendor: '0x1002', device: '0x7550', ...end('16', '16.0', '16.0') }),
    'sys/bus/pci/devices/0000:03:00.0': `-> ../../../../${gpu}`,
  });
  expect(await readPciBus(root, '6.17.0')).toMatchObject([{ link: { width: 8, maxWidth: 16, generation: 1, maxGeneration: 3 } }]);
});

test('a laptop is one, with its maker and name, and tells what it runs on', async () => {
  const supplies = 'sys/class/power_supply';
  const root = await rootWith({
    'sys/class/dmi/id/sys_vendor': 'LENOVO',
    'sys/class/dmi/id/product_name': '82JW',
    'sys/class/dmi/id/product_version': 'Legion 5 15ACH6H',
    'sys/class/dmi/id/chassis_type': '10',
    'proc/cpuinfo': 'processor\t: 0\nflags\t\t: fpu vme',
    'proc/sys/kernel/osrelease': '6.17.0-5-generic',
    ...under(`${supplies}/BAT0`, { type: 'Battery', capacity: '63', status: 'Discharging', present: '1' }),
    ...under(`${supplies}/ADP0`, { type: 'Mains', online: '0' }),
    ...under(`${supplies}/hidpp_battery_0`, { type: 'Battery', scope: 'Device', capacity: '5', status: 'Discharging' }),
  });
  expect(await readLinuxMachine(root)).toEqual({
    formFactor: 'laptop',
    name: 'LENOVO Legion 5 15ACH6H 82JW',
    virtualMachine: false,
    hypervisor: null,
    container: false,
    wsl: false,
  });
  expect(await readLinuxPower(root)).toEqual({ source: 'battery', percent: 63 });
});

test('WSL in a container is both, and a machine that tells nothing tells nothing', async () => {
  const root = await rootWith({
    'proc/sys/kernel/osrelease': '6.6.87.2-microsoft-standard-WSL2',
    '.dockerenv': '',
    'proc/cpuinfo': 'flags\t\t: fpu hypervisor',
  });
  expect(await readLinuxMachine(root)).toEqual({
    formFactor: null,
    name: null,
    virtualMachine: true,
    hypervisor: 'Hyper-V',
    container: true,
    wsl: true,
  });
  expect(await readLinuxMachine(join(root, 'none'))).toMatchObject({ formFactor: null, virtualMachine: null });
  expect(await readLinuxPower(join(root, 'none'))).toEqual({ source: null, percent: null });
});

test.each([
  ['QEMU', 'Standard PC (Q35 + ICH9, 2009)', 1, 'KVM'],
  ['Google', 'Google Compute Engine', 1, 'KVM'],
  ['Amazon EC2', 'g5.xlarge', 1, 'KVM'],
  ['Amazon EC2', 'g5g.metal', 1, null],
  ['VMware, Inc.', 'VMware Virtual Platform', 1, 'VMware'],
  ['innotek GmbH', 'VirtualBox', 1, 'VirtualBox'],
  ['Microsoft Corporation', 'Virtual Machine', 3, 'Hyper-V'],
  ['Microsoft Corporation', 'Surface Laptop 5', 9, null],
  ['Xen', 'HVM domU', 1, 'Xen'],
  ['Parallels Software International Inc.', 'Parallels Virtual Platform', 2, 'Parallels'],
  ['To Be Filled By O.E.M.', 'To Be Filled By O.E.M.', 3, null],
])('%s %s runs under what it says it does', (vendor, product, chassis, hypervisor) => {
  expect(machineFromDmi({ vendor, product, chassis }).hypervisor).toBe(hypervisor);
});

test.each([
  [
    'two batteries, plugged in',
    [
      { type: 'Mains', online: '1' },
      { type: 'Battery', capacity: '40' },
      { type: 'Battery', capacity: '60' },
    ],
    'mains',
    50,
  ],
  ['charging over USB-C without a supply that says so', [{ type: 'Battery', capacity: '80', status: 'Charging' }], 'mains', 80],
  ['a battery that says nothing', [{ type: 'Battery', status: 'Unknown' }], null, null],
  ['a desktop', [], null, null],
] as const)('what %s runs on', (_what, supplies, source, percent) => {
  const none = { type: '', scope: '', online: '', capacity: '', status: '', present: '' };
  expect(powerFromSupplies(supplies.map((supply) => ({ ...none, ...supply })))).toEqual({ source, percent });
});
