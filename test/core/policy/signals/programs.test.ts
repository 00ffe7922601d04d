import { expect, test } from 'vitest';
import type { SignalChange } from '../../../../core/contract/policy.ts';
import { createProcessTable, type ProcReads } from '../../../../core/policy/signals/linux/process-table.ts';
import { type ProcessFacts, programNames } from '../../../../core/policy/signals/linux/program-names.ts';
import { programsSource } from '../../../../core/policy/signals/linux/programs.ts';
import { programNamed, startStranger } from '../../../fakes/stranger.ts';
import { watch } from './watching.ts';

const noProc = process.platform === 'linux' ? null : 'there is no /proc';
const added = (...names: string[]) => ({ programs: { pause: true, added: names, removed: [], resumeAfterMs: 60_000 } });
const has = (name: string) => (change: SignalChange) => change.programs?.some((each) => each.name === name) ?? false;
const lacks = (name: string) => (change: SignalChange) => change.programs != null && !has(name)(change);

test('a program with a listed name is seen when it starts, and when it has ended', async ({ skip }) => {
  if (noProc !== null) skip(noProc);
  const watched = watch(programsSource);
  expect((await watched.until(({ programs }) => programs != null)).programs).not.toContainEqual(
    expect.objectContaining({ name: 'Cyberpunk2077' }),
  );
  const game = startStranger(`exec ${programNamed('Cyberpunk2077')} 100`);
  const seen = await watched.next(has('Cyberpunk2077'));
  expect(seen.programs).toContainEqual({ name: 'Cyberpunk2077', pid: game.pid });
  const gone = watched.next(lacks('Cyberpunk2077'));
  game.end();
  await gone;
});

test('a shell that becomes a listed program later is seen, and so is a Windows program under Wine', async ({ skip }) => {
  if (noProc !== null) skip(noProc);
  const watched = watch(programsSource, added('hearthlend-later', 'HearthGame.exe'));
  startStranger(`sleep 1.2; exec ${programNamed('hearthlend-later')} 100`);
  startStranger(`exec -a 'Z:\\games\\HearthGame.exe' ${programNamed('wine64-preloader')} 100`);
  await watched.until(has('HearthGame'));
  await watched.until(has('hearthlend-later'));
});

test('what was taken off the list is no longer told, and what was put on it is, while both run', async ({ skip }) => {
  if (noProc !== null) skip(noProc);
  startStranger(`exec ${programNamed('hearthlend-one')} 100`);
  startStranger(`exec ${programNamed('hearthlend-two')} 100`);
  const watched = watch(programsSource, added('hearthlend-one'));
  await watched.until(has('hearthlend-one'));
  watched.change(added('HEARTHLEND-TWO'));
  const now = await watched.until(has('HEARTHLEND-TWO'));
  expect(has('hearthlend-one')(now)).toBe(false);
});

test('five hundred programs at once, and a list of five thousand names: the one that is on it is found', async ({ skip }) => {
  if (noProc !== null) skip(noProc);
  const names = Array.from({ length: 4999 }, (_, number) => `program-that-is-not-there-${number}`);
  const watched = watch(programsSource, added(...names, 'hearthlend-last'));
  await watched.until(({ programs }) => programs != null);
  const other = programNamed('hearthlend-other');
  const crowd = startStranger(`for i in $(seq 500); do ${other} 100 & done; exec ${programNamed('hearthlend-last')} 100`);
  expect((await watched.until(has('hearthlend-last'))).programs?.filter(({ name }) => name.startsWith('hearthlend'))).toHaveLength(1);
  const gone = watched.next(lacks('hearthlend-last'));
  crowd.end();
  await gone;
});

test('our own processes are nobody to yield to, whatever is on the list', async ({ skip }) => {
  if (noProc !== null) skip(noProc);
  const watched = watch(programsSource, added('node', 'hearthlend-stranger'));
  startStranger(`exec ${programNamed('hearthlend-stranger')} 100`);
  const told = await watched.until(has('hearthlend-stranger'));
  expect(told.programs?.map(({ pid }) => pid)).not.toContain(process.pid);
});

/** Processes as recorded on Linux desktops: a game under Proton with all that starts it, Flatpak, a native game, services. */
test.each<[string, Partial<ProcessFacts>, string[]]>([
  [
    'a game under Proton',
    {
      comm: 'Cyberpunk2077.e',
      exe: '/home/u/.steam/Proton/files/bin/wine64-preloader',
      cmdline: 'Z:\\home\\u\\bin\\x64\\Cyberpunk2077.exe\0--launcher-skip\0',
    },
    ['Cyberpunk2077.exe', 'wine64-preloader', 'Cyberpunk2077.e'],
  ],
  [
    "Proton's launcher, before the game is there",
    {
      comm: 'python3',
      exe: '/usr/bin/python3.12',
      cmdline: 'python3\0/home/u/.steam/Proton/proton\0waitforexitandrun\0/home/u/games/Cyberpunk 2077/bin/x64/Cyberpunk2077.exe\0',
    },
    ['python3', 'python3.12', 'Cyberpunk2077.exe'],
  ],
  [
    "Steam's reaper",
    {
      comm: 'reaper',
      exe: '/home/u/.steam/ubuntu12_32/reaper',
      cmdline: '/home/u/.steam/ubuntu12_32/reaper\0SteamLaunch\0AppId=730\0--\0/g/cs2.exe\0',
    },
    ['reaper', 'cs2.exe'],
  ],
  [
    'an editor of a text about a program',
    { comm: 'vim', exe: '/usr/bin/vim.basic', cmdline: 'vim\0/home/u/Cyberpunk2077.exe\0' },
    ['vim', 'vim.basic'],
  ],
  ['a native game', { comm: 'factorio', exe: '/opt/factorio/bin/x64/factorio', cmdline: './factorio\0' }, ['factorio']],
  ["somebody else's program", { comm: 'Xorg', exe: null, cmdline: '/usr/lib/xorg/Xorg\0:0\0' }, ['Xorg']],
  [
    'a program that was replaced while it runs',
    { comm: 'blender', exe: '/opt/blender/blender (deleted)', cmdline: '/opt/blender/blender\0' },
    ['blender'],
  ],
  ['a program that tells its state', { comm: 'nginx', exe: null, cmdline: 'nginx: worker process\0' }, ['nginx']],
  ['a login shell', { comm: 'bash', exe: '/usr/bin/bash', cmdline: '-bash\0' }, ['bash']],
  ['a thread of the kernel', { comm: 'kworker/0:1', exe: null, cmdline: '' }, []],
])('%s has its names', (_, facts, names) => {
  expect(programNames({ comm: '', exe: null, cmdline: '', ...facts })).toEqual(names);
});

/** A machine of which every read is counted. */
function countedMachine(count: number) {
  const machine = new Map(Array.from({ length: count }, (_, pid) => [pid + 1, `program-${pid}`]));
  const reads = { list: 0, comm: 0, facts: 0 };
  let now = 0;
  let last = count;
  const threads = new Set<number>();
  const ports: ProcReads = {
    pids() {
      reads.list += 1;
      return [...machine.keys()].filter((pid) => !threads.has(pid));
    },
    lastPid: () => last,
    isThread: (pid) => threads.has(pid),
    comm(pid) {
      reads.comm += 1;
      return machine.get(pid)?.slice(0, 15) ?? null;
    },
    facts(pid) {
      reads.facts += 1;
      const name = machine.get(pid);
      return name === undefined ? null : { comm: name.slice(0, 15), exe: null, cmdline: `${name}\0` };
    },
    now: () => now,
  };
  const table = createProcessTable(ports);
  return {
    machine,
    reads,
    table,
    start(name: string, { thread = false } = {}) {
      last += 1;
      machine.set(last, name);
      if (thread) threads.add(last);
      return last;
    },
    /** Polls every quarter of a second for so long. Returns whether anything was news. */
    watch(ms: number) {
      let changed = false;
      for (const end = now + ms; now < end; ) {
        now += 250;
        changed = table.poll() || changed;
      }
      return changed;
    },
    matches: () => table.matches((name) => (name.startsWith('a-game') ? name : undefined)),
  };
}

test('where nothing is started, processes are listed every two seconds, and each is looked at twice a minute', () => {
  const { reads, watch } = countedMachine(600);
  expect(watch(250)).toBe(true);
  expect(reads).toMatchObject({ list: 1, facts: 600 });
  watch(20_000);
  Object.assign(reads, { list: 0, comm: 0, facts: 0 });
  expect(watch(60_000)).toBe(false);
  expect(reads.list).toBe(30);
  expect(reads.comm).toBeGreaterThanOrEqual(1200);
  expect(reads.comm).toBeLessThan(1300);
  expect(reads.facts).toBe(0);
});

test('a program that is started is seen at the next poll, and so is its end, whatever else goes on', () => {
  const { machine, start, table, watch, matches } = countedMachine(600);
  watch(10_000);
  const pid = start('a-game');
  expect(watch(250)).toBe(true);
  expect(matches()).toEqual([{ pid, name: 'a-game' }]);
  machine.delete(pid);
  expect(table.poll()).toBe(true);
  expect(matches()).toEqual([]);
});

test('threads are no programs of their own, and a start among them needs no listing', () => {
  const { reads, start, watch, matches } = countedMachine(100);
  watch(2500);
  reads.list = 0;
  for (let started = 0; started < 10; started += 1) start('a-game-that-runs', { thread: true });
  const pid = start('a-game');
  watch(250);
  expect(matches()).toEqual([{ pid, name: 'a-game' }]);
  expect(reads.list).toBe(0);
});

test('a process that has become another program is seen within a round, and its number may be used again', () => {
  const { machine, watch, matches } = countedMachine(10);
  watch(60_000);
  machine.set(3, 'a-game');
  watch(32_000);
  expect(matches()).toEqual([{ pid: 3, name: 'a-game' }]);
  machine.set(3, 'another');
  watch(250);
  expect(matches()).toEqual([]);
});

test('a program that is started by way of another is seen while that is young', () => {
  const { machine, start, watch, matches } = countedMachine(10);
  watch(1000);
  const pid = start('sh');
  watch(1000);
  machine.set(pid, 'a-game');
  watch(1250);
  expect(matches()).toEqual([{ pid, name: 'a-game' }]);
});

test('five hundred at once are looked at once each, and then as they grow older', () => {
  const { reads, start, watch } = countedMachine(10);
  watch(20_000);
  Object.assign(reads, { list: 0, comm: 0, facts: 0 });
  for (let started = 0; started < 500; started += 1) start(`crowd-${started}`);
  expect(watch(250)).toBe(true);
  expect(reads.facts).toBe(500);
  const before = reads.comm;
  watch(250);
  // Nobody's second look comes with everybody else's.
  expect(reads.comm - before).toBeLessThanOrEqual(20);
  watch(20_000);
  // Three looks while they are young, and the round of all.
  expect(reads.comm).toBeLessThan(500 * 5);
});
