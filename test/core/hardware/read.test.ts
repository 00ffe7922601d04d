import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HardwareReport } from '../../../core/contract/hardware.ts';
import { message, messageOf } from '../../../core/contract/messages.ts';
import { readHardware } from '../../../core/hardware/read.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/hardware');

test('this machine is described, with everything that it may not know', async () => {
  const report = await readHardware({ dataDir: tmpdir() });
  expect(HardwareReport.parse(report)).toEqual(report);
  expect(report.disk.freeBytes).toBeGreaterThan(0);
  expect(report.memory.totalBytes).toBeGreaterThan(2 ** 28);
});

test('what is not known is null and not an error', async () => {
  const report = await readHardware({
    dataDir: join(tmpdir(), 'hearthlend-no-such-folder'),
    nodePath: '/no/such/node',
    env: { PATH: '/no/such/folder' },
    root: '/no/such/root',
  });
  expect(HardwareReport.parse(report)).toEqual(report);
  expect(report).toMatchObject({ disk: { freeBytes: null }, gpus: [], power: { source: null, percent: null }, problems: [] });
});

/** A folder with programs of the test's own, to be the whole PATH, and with files as a root. */
async function machineWith(programs: Record<string, string>, files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-inventory-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!${process.execPath}\n${script}`);
    await chmod(join(folder, name), 0o755);
  }
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), `${content}\n`);
  }
  return folder;
}

const pciDevice = (address: string, files: Record<string, string>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`sys/bus/pci/devices/${address}/${name}`, content]));

const FLOOD = "const flood = () => { while (process.stdout.write('x'.repeat(65536))); }; process.stdout.on('drain', flood); flood();";

test.skipIf(process.platform !== 'linux')(
  'tools that hang, flood or print rubbish cost one bounded wait together, are told of, and leave the rest right',
  async () => {
    const folder = await machineWith(
      {
        'nvidia-smi': 'setInterval(() => {}, 1000)',
        vulkaninfo: FLOOD,
        lspci: "console.log('{]'.repeat(1000))",
        'rocm-smi': 'process.exitCode = 3',
      },
      pciDevice('0000:03:00.0', { class: '0x030000', vendor: '0x1002', device: '0x73df', mem_info_vram_total: '12868124672' }),
    );
    const report = await readHardware({ dataDir: folder, env: { PATH: folder }, root: folder });
    expect(report.gpus).toMatchObject([{ id: '0000:03:00.0', vendor: 'AMD', vramBytes: 12_868_124_672 }]);
    expect(report.problems.filter(({ gpu }) => gpu === null).map(({ what }) => messageOf(what))).toEqual([
      message('hardware.tool-timeout', { tool: 'nvidia-smi' }),
      message('hardware.tool-flooded', { tool: 'vulkaninfo' }),
    ]);
  },
);

test.skipIf(process.platform !== 'linux')("a hybrid laptop's tools and files are put together, GPU by GPU", async () => {
  const print = (fixture: string) => `process.stdout.write(require('node:fs').readFileSync(${JSON.stringify(join(FIXTURES, fixture))}));`;
  const folder = await machineWith(
    { 'nvidia-smi': print('nvidia-smi/rtx-4070-laptop.xml'), vulkaninfo: print('vulkaninfo/hybrid-rtx-4070-laptop.txt') },
    {
      ...pciDevice('0000:00:02.0', { class: '0x030000', vendor: '0x8086', device: '0xa788', removable: 'fixed' }),
      ...pciDevice('0000:01:00.0', { class: '0x030000', vendor: '0x10de', device: '0x2860', removable: 'fixed' }),
      'sys/class/dmi/id/chassis_type': '10',
    },
  );
  const report = await readHardware({ dataDir: folder, env: { PATH: folder }, root: folder });
  expect(HardwareReport.parse(report)).toEqual(report);
  expect(report.machine.formFactor).toBe('laptop');
  expect(report.gpus).toMatchObject([
    { id: '0000:00:02.0', vendor: 'Intel', model: 'RPL-S', kind: 'integrated', vramBytes: null, apis: { cuda: null, vulkan: '1.4.318' } },
    {
      id: '0000:01:00.0',
      name: 'NVIDIA GeForce RTX 4070 Laptop GPU',
      kind: 'discrete',
      external: false,
      vramBytes: 8188 * 2 ** 20,
      driverVersion: '575.51.02',
      apis: { cuda: '12.9', vulkan: '1.4.312' },
      link: { width: 8, maxWidth: 8, generation: 2, maxGeneration: 4 },
    },
  ]);
});
