import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import type { CallOutput } from '../../core/contract/rpc.ts';
import { Command, temporaryFolder } from './program.ts';

type Report = CallOutput<'doctor.report'>;
const recordings = join(import.meta.dirname, '../fixtures/hardware/nvidia-smi');
const onBareLinux = process.platform === 'linux' && !existsSync('/dev/nvidiactl');

async function doctor(env: Record<string, string> = {}): Promise<Report> {
  const command = new Command(['doctor', '--json', '--data-dir', temporaryFolder('doctor')], {
    spawn: { env: { ...process.env, ...env } },
  });
  const { code, stdout } = await command.ended;
  expect(code).toBe(0);
  return JSON.parse(stdout) as Report;
}

test.runIf(onBareLinux)(
  'doctor --json gives one object for each GPU, two identical cards too, with what each backend lacks; the CPU apart',
  async () => {
    const tools = temporaryFolder('tools');
    const smi = join(tools, 'nvidia-smi');
    writeFileSync(smi, `#!/bin/sh\ncat '${join(recordings, 'rtx-2080-ti-twice.xml')}'\n`);
    chmodSync(smi, 0o755);
    const { hardware, computing } = await doctor({ PATH: `${tools}${delimiter}${process.env.PATH ?? ''}` });
    expect(hardware.gpus).toHaveLength(2);
    expect(new Set(hardware.gpus.map(({ id }) => id)).size).toBe(2);
    for (const { name, backends } of hardware.gpus) {
      expect(name).toContain('2080 Ti');
      expect(backends.map((backend) => [backend.name, backend.works])).toEqual([
        ['cuda', false],
        ['webgpu', false],
      ]);
      expect(backends[0]?.remedy?.key).toBe('backend.cuda-not-added.remedy');
    }
    expect(hardware.cpu.backends).toMatchObject([{ name: 'cpu', works: true, difference: 0 }]);
    expect(computing).toEqual({ workers: [], reason: { key: 'backend.cpu-serves-broken', params: {} } });
  },
);

test.runIf(onBareLinux && !existsSync('/dev/dri'))(
  'on a machine without a GPU the list is empty, and it is said that the CPU computes',
  async () => {
    const { hardware, computing } = await doctor();
    expect(hardware.gpus).toEqual([]);
    expect(computing.reason?.key).toBe('backend.cpu-serves-none');
  },
);
