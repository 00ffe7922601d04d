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
  const reads = { comm: 0, facts: 0 };
  let now = 0;
  const ports: ProcReads = {
    pids: () => [...machine.keys()],
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
  return { machine, reads, ports, pass: (ms: number) => (now += ms) };
}

test('a look at a machine where nothing happens reads of a sixtieth of its processes', () => {
  const { reads, ports, pass } = countedMachine(600);
  const table = createProcessTable(ports);
  expect(table.poll()).toBe(true);
  expect(reads.facts).toBe(600);
  for (let poll = 0; poll < 40; poll += 1) {
    pass(500);
    table.poll();
  }
  reads.comm = 0;
  pass(500);
  expect(table.poll()).toBe(false);
  expect(reads).toEqual({ comm: 10, facts: 600 });
});

test('a process that has become another program is found within a round, and its number may be used again', () => {
  const { machine, ports, pass } = countedMachine(10);
  const table = createProcessTable(ports);
  for (let poll = 0; poll < 50; poll += 1) {
    pass(500);
    table.poll();
  }
  machine.set(3, 'a-game');
  const matches = () => table.matches((name) => (name === 'a-game' ? 'A Game' : undefined));
  for (let poll = 0; poll < 60; poll += 1) {
    pass(500);
    table.poll();
  }
  expect(matches()).toEqual([{ pid: 3, name: 'A Game' }]);
  machine.delete(3);
  expect(table.poll()).toBe(true);
  expect(matches()).toEqual([]);
});
