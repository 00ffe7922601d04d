import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { listCards } from '../../../../core/policy/signals/linux/cards.ts';
import { clientsUse, type DrmClient, parseFdinfo } from '../../../../core/policy/signals/linux/fdinfo.ts';
import { cardUse } from '../../../../core/policy/signals/linux/gpus.ts';
import { nvidiaSource } from '../../../../core/policy/signals/linux/nvidia.ts';
import { createPmonReader, pmonUse } from '../../../../core/policy/signals/linux/pmon.ts';
import { watch } from './watching.ts';

const fixtures = join(import.meta.dirname, '../../../fixtures/policy');
const fixture = (name: string): string => readFileSync(join(fixtures, name), 'utf8');
const MIB = 2 ** 20;

test.each([
  [
    'i915-integrated',
    { gpu: '0000:00:02.0', id: '39', engineNs: { render: 346_249, copy: 0, video: 0, 'video-enhance': 0 }, cycles: {}, vramBytes: null },
  ],
  [
    'i915-arc',
    { gpu: '0000:03:00.0', id: '42', engineNs: { render: 1_234_567, copy: 2345, video: 0 }, cycles: {}, vramBytes: 5_396_348 * 1024 },
  ],
  ['amdgpu', { gpu: '0000:03:00.0', id: '42', engineNs: { gfx: 123_456_789, compute: 0 }, cycles: {}, vramBytes: 1024 * MIB }],
  [
    'xe',
    {
      gpu: '0000:03:00.0',
      id: '7',
      engineNs: {},
      cycles: { rcs: { busy: 500, total: 1000 }, vcs: { busy: 5, total: 1000 } },
      vramBytes: 4 * MIB,
    },
  ],
])("what %s's driver tells of a client is read", (name, client) => {
  expect(parseFdinfo(fixture(`fdinfo/${name}.txt`))).toEqual(client);
});

test('a file that is no graphics driver’s, or has no address, tells of no client', () => {
  expect(parseFdinfo('pos:\t0\nflags:\t02\nmnt_id:\t28\n')).toBeNull();
  expect(parseFdinfo('drm-driver:\tv3d\ndrm-client-id:\t3\ndrm-engine-render:\t5 ns\n')).toBeNull();
  expect(parseFdinfo('')).toBeNull();
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => void parseFdinfo(`drm-pdev: 0000:00:02.0\ndrm-client-id: 1\ndrm-${text}`)),
  );
});

const gpu = '0000:03:00.0';
const client = (id: string, gfx: number, vramBytes: number | null = null): DrmClient => ({
  gpu,
  id,
  engineNs: { gfx, copy: gfx / 10 },
  cycles: {},
  vramBytes,
});

test("a GPU's load is that of the engine that is used most, over the time between two looks; a shared client counts once", () => {
  const before = [client('1', 5e9), client('2', 0)];
  const after = [client('1', 5.3e9, 100), client('1', 5.3e9, 100), client('2', 0.2e9, 50)];
  expect(clientsUse(before, after, 1000)).toEqual(new Map([[gpu, { load: expect.closeTo(0.5, 5), vramBytes: 150 }]]));
});

test('what a client did before it was first seen is no load now, and a counter that starts again is none either', () => {
  expect(clientsUse([], [client('1', 9e12)], 1000).get(gpu)?.load).toBe(0);
  expect(clientsUse([client('1', 9e12)], [client('1', 1)], 1000).get(gpu)?.load).toBe(0);
  expect(clientsUse([client('1', 0)], [client('1', 9e12)], 1000).get(gpu)?.load).toBe(1);
});

test('where a driver counts cycles, the load is their share of those that have passed', () => {
  const cycles = (busy: number, total: number): DrmClient => ({
    gpu,
    id: '7',
    engineNs: {},
    cycles: { rcs: { busy, total } },
    vramBytes: null,
  });
  expect(clientsUse([cycles(500, 1000)], [cycles(750, 2000)], 1000).get(gpu)?.load).toBe(0.25);
  expect(clientsUse([cycles(500, 1000)], [cycles(500, 1000)], 1000).get(gpu)?.load).toBeNull();
});

test('load is a share, whatever a driver counts', () => {
  const any = fc.record({ id: fc.constantFrom('1', '2'), gfx: fc.double({ min: 0, max: 1e15, noNaN: true }) });
  fc.assert(
    fc.property(fc.array(any), fc.array(any), fc.integer({ min: -5, max: 10_000 }), (before, after, elapsedMs) => {
      const clients = (all: { id: string; gfx: number }[]) => all.map(({ id, gfx }) => client(id, gfx));
      for (const { load } of clientsUse(clients(before), clients(after), elapsedMs).values()) {
        if (load !== null) expect(load >= 0 && load <= 1).toBe(true);
      }
    }),
  );
});

function readPmon(name: string, own: number[] = []) {
  const read = createPmonReader();
  const rows = fixture(`pmon/${name}.txt`)
    .split('\n')
    .map(read)
    .filter((row) => row !== null);
  return pmonUse(rows, new Set(own));
}

test('what others make of an NVIDIA card is read of nvidia-smi, without what is ours', () => {
  expect(readPmon('game').get(0)).toEqual({ load: 1, vramBytes: (277 + 574 + 9085) * MIB });
  expect(readPmon('game', [2_959_442]).get(0)).toEqual({ load: expect.closeTo(0.19, 5), vramBytes: (277 + 574) * MIB });
  expect(readPmon('at-rest').get(0)).toEqual({ load: 0, vramBytes: (4 + 112 + 5830) * MIB });
  expect(readPmon('older-driver').get(0)).toEqual({ load: 0.4, vramBytes: (7669 + 11_057 + 11_057 + 1635) * MIB });
  expect([...readPmon('nobody')]).toEqual([
    [0, { load: 0, vramBytes: 0 }],
    [1, { load: 0, vramBytes: 0 }],
  ]);
});

/** A machine's /sys with graphics cards in it. */
function machineWith(cards: Record<string, Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'hearthlend-sys-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [id, files] of Object.entries(cards)) {
    const folder = join(root, 'sys/bus/pci/devices', id);
    mkdirSync(join(folder, 'power'), { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), `${text}\n`);
  }
  return root;
}

const RADEON = { vendor: '0x1002', class: '0x030000', 'power/control': 'auto', 'power/runtime_status': 'active' };
const GEFORCE = { vendor: '0x10de', class: '0x030000', 'power/control': 'on', 'power/runtime_status': 'active' };

test('graphics cards are found by what they are; sound cards and network cards are none', () => {
  const root = machineWith({
    '0000:03:00.0': RADEON,
    '0000:03:00.1': { vendor: '0x1002', class: '0x040300' },
    '0000:01:00.0': { ...GEFORCE, class: '0x030200' },
    '0000:05:00.0': { vendor: '0x8086', class: '0x020000' },
  });
  expect(listCards(root)).toEqual([
    { id: '0000:01:00.0', maker: 'nvidia' },
    { id: '0000:03:00.0', maker: 'amd' },
  ]);
  expect(listCards('/no/such/root')).toEqual([]);
});

test("AMD's whole load is the others' only while nothing of ours computes, and a sleeping card is not asked", () => {
  const files = { ...RADEON, gpu_busy_percent: '70', mem_info_vram_used: '1000' };
  const card = { id: '0000:03:00.0', maker: 'amd' as const };
  const clients = { load: 0.2, vramBytes: 400 };
  expect(cardUse(machineWith({ [card.id]: files }), card, clients, false)).toEqual({ load: 0.7, vramBytes: 1000 });
  expect(cardUse(machineWith({ [card.id]: files }), card, clients, true)).toEqual(clients);
  expect(cardUse(machineWith({ [card.id]: files }), card, undefined, true)).toEqual({ load: null, vramBytes: null });
  const asleep = { ...files, 'power/runtime_status': 'suspended' };
  expect(cardUse(machineWith({ [card.id]: asleep }), card, clients, false)).toEqual({ load: 0, vramBytes: null });
  const nonsense = { ...files, gpu_busy_percent: '4294967295', mem_info_vram_used: 'x' };
  expect(cardUse(machineWith({ [card.id]: nonsense }), card, undefined, false)).toEqual({ load: null, vramBytes: null });
});

/** A program in nvidia-smi's place, which writes down how it is started and says what was recorded. */
function recordedSmi(name: string): { command: string; starts(): string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-smi-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const command = join(folder, 'nvidia-smi');
  const log = join(folder, 'starts');
  writeFileSync(log, '');
  const said = join(fixtures, 'pmon', `${name}.txt`);
  writeFileSync(
    command,
    `#!/bin/sh\necho "$*" >> ${log}\ncat ${said}\ncase "$*" in *-c*) exit;; esac\nwhile sleep 0.3; do cat ${said}; done\n`,
  );
  chmodSync(command, 0o755);
  return { command, starts: () => readFileSync(log, 'utf8').split('\n').filter(Boolean) };
}

const running = (command: string): string =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(command) && !line.includes('ps -eo'))
    .join('\n');

test('an NVIDIA card that never sleeps is watched through one process that goes on, and is gone when the watching ends', async ({
  skip,
}) => {
  if (process.platform !== 'linux') skip('there is no /sys');
  const { command, starts } = recordedSmi('game');
  const watched = watch(nvidiaSource(machineWith({ '0000:01:00.0': GEFORCE }), command));
  const told = await watched.until(({ gpus }) => gpus?.['0000:01:00.0']?.otherLoad != null);
  expect(told.gpus?.['0000:01:00.0']).toEqual({ otherLoad: 1, otherVramBytes: (277 + 574 + 9085) * MIB });
  await watched.next(({ gpus }) => gpus !== undefined);
  expect(starts()).toEqual(['pmon -s um -d 2']);
  expect(running(command)).not.toBe('');
  await watched.stop();
  expect(running(command)).toBe('');
});

test("a laptop's NVIDIA card that sleeps is not asked; one that is awake is asked once; while we work it is watched", async ({ skip }) => {
  if (process.platform !== 'linux') skip('there is no /sys');
  const laptop = { ...GEFORCE, 'power/control': 'auto' };
  const { command, starts } = recordedSmi('at-rest');
  const asleep = watch(nvidiaSource(machineWith({ '0000:01:00.0': { ...laptop, 'power/runtime_status': 'suspended' } }), command));
  await asleep.until(({ gpus }) => gpus?.['0000:01:00.0']?.otherLoad === 0);
  await asleep.stop();
  expect(starts()).toEqual([]);
  const awake = watch(nvidiaSource(machineWith({ '0000:01:00.0': laptop }), command));
  await awake.until(({ gpus }) => gpus?.['0000:01:00.0']?.otherVramBytes === (4 + 112 + 5830) * MIB);
  awake.change({}, true);
  const next = awake.next(({ gpus }) => gpus !== undefined);
  awake.change({}, true);
  await next;
  await awake.stop();
  expect(starts()[0]).toBe('pmon -s um -c 1');
  expect(running(command)).toBe('');
});

test('without nvidia-smi the load of an NVIDIA card is unknown', async ({ skip }) => {
  if (process.platform !== 'linux') skip('there is no /sys');
  const watched = watch(nvidiaSource(machineWith({ '0000:01:00.0': GEFORCE }), '/no/such/nvidia-smi'));
  await watched.until(({ gpus }) => gpus?.['0000:01:00.0']?.otherLoad === null);
  expect(watched.logged[0]).toContain('ENOENT');
});
