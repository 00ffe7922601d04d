import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HardwareReport } from '../../../core/contract/hardware.ts';
import { message, messageOf } from '../../../core/contract/messages.ts';
import { readHardware } from '../../../core/hardware/read.ts';

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

test.skipIf(process.platform !== 'linux')(
  'tools that hang, flood or print rubbish cost one bounded wait together, are told of, and leave the rest right',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hearthlend-inventory-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const program = async (name: string, script: string): Promise<void> => {
      await writeFile(join(folder, name), `#!${process.execPath}\n${script}`);
      await chmod(join(folder, name), 0o755);
    };
    await program('nvidia-smi', 'setInterval(() => {}, 1000)');
    await program(
      'vulkaninfo',
      "const flood = () => { while (process.stdout.write('x'.repeat(65536))); }; process.stdout.on('drain', flood); flood();",
    );
    await program('lspci', "console.log('{]'.repeat(1000))");
    await program('rocm-smi', 'process.exitCode = 3');
    const device = join(folder, 'sys/bus/pci/devices/0000:03:00.0');
    await mkdir(device, { recursive: true });
    const files = { class: '0x030000', vendor: '0x1002', device: '0x73df', mem_info_vram_total: '12868124672' };
    for (const [name, content] of Object.entries(files)) await writeFile(join(device, name), `${content}\n`);
    const report = await readHardware({ dataDir: folder, env: { PATH: folder }, root: folder });
    expect(report.gpus).toMatchObject([{ id: '0000:03:00.0', vendor: 'AMD', vramBytes: 12_868_124_672 }]);
    expect(report.problems.filter(({ gpu }) => gpu === null).map(({ what }) => messageOf(what))).toEqual([
      message('hardware.tool-timeout', { tool: 'nvidia-smi' }),
      message('hardware.tool-flooded', { tool: 'vulkaninfo' }),
    ]);
  },
);
