import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { SignalChange } from '../../../../core/contract/policy.ts';
import { keepUp } from '../../../../core/policy/signals/keep-up.ts';
import { cpuSource, otherCpuShare, parseCpuTicks, parseProcessTicks } from '../../../../core/policy/signals/linux/cpu.ts';
import { type PowerSupply, powerFrom, powerSupplySource } from '../../../../core/policy/signals/linux/power-supply.ts';
import { ownProcesses } from '../../../../core/policy/signals/linux/proc.ts';
import { createMerge } from '../../../../core/policy/signals/merge.ts';
import { oneAtATime } from '../../../../core/policy/signals/one-at-a-time.ts';
import { openSignalSources } from '../../../../core/policy/signals/open.ts';
import { type ShellPower, shellPowerSource } from '../../../../core/policy/signals/shell-power.ts';
import { priceAt, tariffSource } from '../../../../core/policy/signals/tariff.ts';
import { startStranger } from '../../../fakes/stranger.ts';
import { watch } from './watching.ts';

test("others' share of the processor is what is busy without what is ours", () => {
  const before = parseCpuTicks('cpu  1000 10 500 8000 100 5 5 0 300 0\ncpu0 1 2 3 4\n');
  expect(before).toEqual({ busy: 1520, total: 9620 });
  const after = parseCpuTicks('cpu  1600 10 700 8200 100 5 5 0 900 0\n');
  if (before === null || after === null) throw new Error('no ticks');
  expect(otherCpuShare({ machine: before, own: 100 }, { machine: after, own: 400 })).toBe(0.5);
  expect(otherCpuShare({ machine: before, own: 0 }, { machine: before, own: 0 })).toBeNull();
  // Counters of other cores lag behind each other: ours may seem to be more than all.
  expect(otherCpuShare({ machine: before, own: 0 }, { machine: after, own: 5000 })).toBe(0);
  expect(parseCpuTicks('')).toBeNull();
});

test('the processor time of a process includes what its ended children took, whatever its name holds', () => {
  expect(parseProcessTicks('42 (a) R 1 (x) S 1 42 42 0 -1 4194304 100 0 0 0 12 8 30 5 20 0 1 0 100')).toBe(55);
  expect(parseProcessTicks(null)).toBe(0);
  expect(parseProcessTicks('42 (gone')).toBe(0);
});

test("what we start, and what that starts, is ours; a stranger's program is not", async ({ skip }) => {
  if (process.platform !== 'linux') skip('there is no /proc');
  const shell = spawn('sh', ['-c', 'sleep 100 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
  onTestFinished(() => void process.kill(-(shell.pid as number), 'SIGKILL'));
  const [told] = (await once(shell.stdout, 'data')) as [Buffer];
  const stranger = startStranger('exec sleep 100');
  const own = ownProcesses();
  expect([process.pid, shell.pid as number, Number(String(told).trim()), stranger.pid].map((pid) => own.has(pid))).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test("others' share of this machine's processor is told", async ({ skip }) => {
  if (process.platform !== 'linux') skip('there is no /proc');
  const { otherCpuLoad } = await watch(cpuSource).until((change) => change.otherCpuLoad != null);
  expect(otherCpuLoad).toBeGreaterThanOrEqual(0);
  expect(otherCpuLoad).toBeLessThanOrEqual(1);
});

const supply = (facts: Partial<PowerSupply>): PowerSupply => ({
  type: '',
  scope: '',
  online: '',
  status: '',
  present: '',
  capacity: '',
  ...facts,
});
const battery = (status: string, capacity: string) => supply({ type: 'Battery', status, capacity, present: '1' });

test.each<[string, PowerSupply[] | null, ReturnType<typeof powerFrom>]>([
  ['a laptop at the wall', [supply({ type: 'Mains', online: '1' }), battery('Charging', '80')], { source: 'mains', percent: 80 }],
  ['a laptop on battery', [supply({ type: 'Mains', online: '0' }), battery('Discharging', '41')], { source: 'battery', percent: 41 }],
  [
    'a laptop on a USB charger',
    [supply({ type: 'Mains', online: '0' }), supply({ type: 'USB', online: '2' }), battery('Charging', '9')],
    { source: 'mains', percent: 9 },
  ],
  [
    'two batteries',
    [supply({ type: 'Mains', online: '0' }), battery('Discharging', '20'), battery('Unknown', '100')],
    { source: 'battery', percent: 60 },
  ],
  ['a laptop whose charger is not told', [battery('Discharging', '55')], { source: 'battery', percent: 55 }],
  ['one that is full, charger not told', [battery('Full', '100')], { source: 'mains', percent: 100 }],
  ['a battery that says nothing', [battery('Unknown', 'x')], null],
  [
    'a desktop with a mouse that has a battery',
    [supply({ type: 'Battery', scope: 'Device', status: 'Discharging', capacity: '5' })],
    { source: 'mains', percent: null },
  ],
  ['a desktop', [], { source: 'mains', percent: null }],
  ['an empty bay', [supply({ type: 'Battery', present: '0' })], { source: 'mains', percent: null }],
  ['a percentage out of range', [supply({ type: 'Mains', online: '1' }), battery('Charging', '255')], { source: 'mains', percent: null }],
  ['a system that lists nothing', null, null],
])('%s: what it runs on', (_, supplies, power) => {
  expect(powerFrom(supplies)).toEqual(power);
});

test('pulling the plug is noticed by the charger alone', async () => {
  const root = mkdtempSync(join(tmpdir(), 'hearthlend-power-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const write = (name: string, file: string, text: string): void => {
    mkdirSync(join(root, 'sys/class/power_supply', name), { recursive: true });
    writeFileSync(join(root, 'sys/class/power_supply', name, file), `${text}\n`);
  };
  write('AC', 'type', 'Mains');
  write('AC', 'online', '1');
  write('BAT0', 'type', 'Battery');
  write('BAT0', 'status', 'Charging');
  write('BAT0', 'capacity', '70');
  const watched = watch(powerSupplySource(root));
  expect((await watched.until(({ power }) => power != null)).power).toEqual({ source: 'mains', percent: 70 });
  const pulled = watched.next(({ power }) => power?.source === 'battery');
  write('AC', 'online', '0');
  await pulled;
  const nowhere = watch(powerSupplySource('/no/such/root'));
  expect((await nowhere.until(({ power }) => power !== undefined)).power).toBeNull();
});

const HOURLY = { kind: 'hourly' as const, perKwh: Array.from({ length: 24 }, (_, hour) => hour / 100) };

test('electricity costs what the tariff says at the hour of the wall clock', () => {
  const noon = Date.UTC(2026, 6, 1, 12, 30);
  expect(priceAt(HOURLY, noon, 0)).toBe(0.12);
  expect(priceAt(HOURLY, noon, 120)).toBe(0.14);
  expect(priceAt(HOURLY, noon, -780)).toBe(0.23);
  expect(priceAt(HOURLY, noon, 345)).toBe(0.18);
  expect(priceAt({ kind: 'fixed', perKwh: 0.3 }, noon, 0)).toBe(0.3);
  expect(priceAt(null, noon, 0)).toBeNull();
});

test('when the clocks change the price is that of the hour that people read', () => {
  // Berlin, 25 October 2026: at 3:00 it is 2:00 again.
  const before = Date.UTC(2026, 9, 25, 0, 30);
  expect([priceAt(HOURLY, before, 120), priceAt(HOURLY, before + 3_600_000, 60), priceAt(HOURLY, before + 7_200_000, 60)]).toEqual([
    0.02, 0.02, 0.03,
  ]);
  // 29 March 2026: at 2:00 it is 3:00.
  const spring = Date.UTC(2026, 2, 29, 0, 30);
  expect([priceAt(HOURLY, spring, 60), priceAt(HOURLY, spring + 3_600_000, 120)]).toEqual([0.01, 0.03]);
});

test('every moment has one of the prices', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), fc.integer({ min: -840, max: 840 }), (now, offset) => {
      expect(HOURLY.perKwh).toContain(priceAt(HOURLY, now, offset));
    }),
  );
});

test('a tariff that is entered is the price at once', () => {
  const watched = watch(tariffSource);
  expect(watched.changes).toEqual([{ electricityPerKwh: null }]);
  watched.change({ electricity: { currency: 'EUR', tariff: { kind: 'fixed', perKwh: 0.31 }, maxPerKwh: null, resumeAfterMs: 60_000 } });
  expect(watched.changes.at(-1)).toEqual({ electricityPerKwh: 0.31 });
});

test('of several who tell the same, the first who knows it counts; what the others say changes nothing meanwhile', () => {
  const merge = createMerge(2);
  expect(merge(1, { idleMs: 500 })).toEqual({ idleMs: 500 });
  expect(merge(0, { idleMs: null, metered: false })).toEqual({ metered: false });
  expect(merge(0, { idleMs: 7 })).toEqual({ idleMs: 7 });
  expect(merge(1, { idleMs: 900, sessionLocked: true })).toEqual({ sessionLocked: true });
  expect(merge(0, { idleMs: null })).toEqual({ idleMs: 900 });
  expect(merge(1, { idleMs: null })).toEqual({ idleMs: null });
  expect(merge(1, { gpus: { 'gpu-0': { otherLoad: 0.5 } } })).toEqual({ gpus: { 'gpu-0': { otherLoad: 0.5 } } });
  expect(merge(0, { gpus: { 'gpu-0': { otherLoad: null }, 'gpu-1': { otherLoad: 1 } } })).toEqual({
    gpus: { 'gpu-0': {}, 'gpu-1': { otherLoad: 1 } },
  });
});

test('one that no longer repeats itself is not passed on as new, and no longer counts', () => {
  let now = 0;
  const merge = createMerge(2, () => now);
  merge(0, { idleMs: 600_000 });
  now = 59_000;
  expect(merge(1, { idleMs: null })).toEqual({});
  expect(merge(1, { idleMs: 3 })).toEqual({});
  now = 61_000;
  expect(merge(1, { idleMs: 5 })).toEqual({ idleMs: 5 });
  expect(merge(1, { idleMs: null })).toEqual({ idleMs: null });
});

test('what breaks is opened again, its readings unknown in between; stopping waits for what it has open to be closed', async () => {
  const told: SignalChange[] = [];
  const logged: string[] = [];
  const again = Promise.withResolvers<void>();
  let opened = 0;
  let closed = 0;
  const stop = keepUp(
    { name: 'it', unknown: { idleMs: null } },
    { publish: (change) => void told.push(change), log: (_level, event, facts) => void logged.push(`${event}: ${facts?.why}`) },
    async () => {
      opened += 1;
      if (opened === 1) throw new Error('nobody is there');
      if (opened === 3) again.resolve();
      return {
        closed: opened === 2 ? Promise.resolve('it broke') : new Promise(() => undefined),
        close: async () => {
          closed += 1;
        },
      };
    },
  );
  await again.promise;
  await stop();
  expect({ opened, closed, told, logged }).toEqual({
    opened: 3,
    closed: 2,
    told: [{ idleMs: null }, { idleMs: null }],
    logged: ["it can't be watched now: nobody is there", "it can't be watched now: it broke"],
  });
});

test('work that is asked for while it runs is done once more, and no more than that', async () => {
  let runs = 0;
  let errors = 0;
  const done = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const work = oneAtATime(
    async () => {
      runs += 1;
      if (runs === 1) await gate.promise;
      else done.resolve();
      throw new Error('and goes on in spite of this');
    },
    () => {
      errors += 1;
    },
  );
  for (let ask = 0; ask < 5; ask += 1) work();
  gate.resolve();
  await done.promise;
  await Promise.resolve();
  expect({ runs, errors }).toEqual({ runs: 2, errors: 2 });
});

test('what the desktop shell is told of lock and power is told at once', () => {
  let hear: Parameters<ShellPower['listen']>[0] = () => undefined;
  let left = false;
  const watched = watch(
    shellPowerSource({
      listen(listener) {
        hear = listener;
        return () => {
          left = true;
        };
      },
      idleSeconds: () => 12,
      onBattery: () => false,
      locked: () => null,
    }),
  );
  expect(watched.changes).toEqual([{ idleMs: 12_000, sessionLocked: null, power: { source: 'mains', percent: null } }]);
  hear('locked');
  hear('battery');
  expect(watched.changes.slice(1)).toEqual([{ sessionLocked: true }, { power: { source: 'battery', percent: null } }]);
  void watched.stop();
  expect(left).toBe(true);
});

test("this machine's sources start, tell what it can tell, and leave nothing behind when they stop", async () => {
  const sources = openSignalSources({
    platform: process.platform,
    env: process.env,
    watchers: join(import.meta.dirname, '../../../../resources/signals'),
    shellPower: null,
  });
  expect(sources.map(({ name }) => name)).toContain('tariff');
  const all = sources.map((source) => watch(source));
  if (process.platform === 'linux') {
    const programs = all[sources.findIndex(({ name }) => name === 'programs')];
    await programs?.until((change) => change.programs != null);
  }
  await Promise.all(all.map((watched) => watched.stop()));
  const told = all.map(({ changes }) => changes.length);
  await new Promise((resolve) => setImmediate(resolve));
  expect(all.map(({ changes }) => changes.length)).toEqual(told);
});

test('a platform that we know nothing of has the sources that need no platform', () => {
  const ports = { platform: 'freebsd' as const, env: {}, watchers: '', shellPower: null };
  expect(openSignalSources(ports).map(({ name }) => name)).toEqual(['tariff']);
});
