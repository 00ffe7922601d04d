import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openChildLines } from '../../../../core/policy/signals/child-lines.ts';
import { watcherSource } from '../../../../core/policy/signals/watcher.ts';
import { changeFrom, parseWatcherLine } from '../../../../core/policy/signals/watcher-lines.ts';
import { watch } from './watching.ts';

/** Stands in for PowerShell or osascript: says these lines, then waits. */
const saying = (...lines: string[]) => ({
  command: process.execPath,
  args: [
    '-e',
    `for (const line of ${JSON.stringify(lines)}) console.log(line); process.stdin.resume(); process.stdin.on('end', () => process.exit())`,
  ],
});
const added = (...names: string[]) => ({ programs: { pause: true, added: names, removed: [], resumeAfterMs: 60_000 } });

const LOOK = {
  idleMs: 93_000,
  fullScreen: { name: 'Cyberpunk2077.exe' },
  locked: false,
  power: { source: 'mains', percent: null },
  started: [
    [4, 'System'],
    [7312, 'Cyberpunk2077.exe'],
    [9000, 'HearthGame.exe'],
  ],
  ended: [],
};

test('what a watcher tells is told on: readings as they are, programs by the list', async () => {
  const watched = watch(watcherSource('Windows', saying(JSON.stringify(LOOK))), added('hearthgame'));
  const readings = await watched.until(({ idleMs }) => idleMs != null);
  expect(readings).toEqual({
    idleMs: 93_000,
    fullScreen: { name: 'Cyberpunk2077.exe' },
    sessionLocked: false,
    power: { source: 'mains', percent: null },
  });
  const { programs } = await watched.until((change) => change.programs != null);
  expect(programs).toContainEqual({ name: 'hearthgame', pid: 9000 });
  expect(programs?.map(({ pid }) => pid)).toContain(7312);
  watched.change(added());
  expect(watched.changes.at(-1)?.programs?.map(({ pid }) => pid)).toEqual([7312]);
});

test('a program that ends is told, and a number that is used again is the new program', async () => {
  const gone = { ...LOOK, started: [[9000, 'notepad.exe']], ended: [7312] };
  const watched = watch(watcherSource('Windows', saying(JSON.stringify(LOOK), JSON.stringify(gone))), added('hearthgame'));
  await watched.until(({ programs }) => programs?.length === 0);
});

test('a watcher that dies leaves everything unknown, and is started again', async () => {
  const dying = { command: process.execPath, args: ['-e', `console.log('${JSON.stringify({ metered: true, idleMs: 5 })}')`] };
  const watched = watch(watcherSource('Windows', dying));
  await watched.until(({ metered }) => metered === true);
  const lost = await watched.next(({ idleMs }) => idleMs === null);
  expect(lost).toMatchObject({ programs: null, fullScreen: null, sessionLocked: null, power: null, metered: null, otherCpuLoad: null });
  await watched.next(({ metered }) => metered === true);
});

test('a watcher that talks nonsense is replaced, and what it said is not taken', async () => {
  const watched = watch(watcherSource('Windows', saying(...Array.from({ length: 101 }, (_, at) => `{"idleMs":-${at + 1}}`))));
  await watched.until(({ idleMs }) => idleMs === null);
  expect(watched.logged[0]).toContain('can not be read');
});

test('a watcher that is not there is no error', async () => {
  const watched = watch(watcherSource('Windows', { command: '/no/such/powershell', args: [] }));
  await watched.until(({ idleMs }) => idleMs === null);
  expect(watched.logged[0]).toContain('ENOENT');
});

test('nothing of a watcher is left when the watching ends, not even what it has started', async ({ skip }) => {
  if (process.platform === 'win32') skip('there is no ps');
  const pids: number[] = [];
  const bothTold = Promise.withResolvers<void>();
  const script = `const c = require('child_process').spawn('sleep', ['100']); console.log(process.pid); console.log(c.pid); setInterval(() => {}, 1000)`;
  const watching = await openChildLines({ command: process.execPath, args: ['-e', script] }, (line) => {
    pids.push(Number(line));
    if (pids.length === 2) bothTold.resolve();
  });
  await bothTold.promise;
  await watching.close();
  const left = execFileSync('ps', ['-eo', 'pid,stat'], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([pid, state]) => pids.includes(Number(pid)) && !state?.startsWith('Z'));
  expect(left).toEqual([]);
});

test.each([
  ['no JSON', 'Add-Type : cannot add type'],
  ['a field that is none', '{"idleMs":1,"password":"x"}'],
  ['a negative time', '{"idleMs":-1}'],
  ['a share above one', '{"otherCpuLoad":1.5}'],
  ['a GPU by no address', '{"gpus":{"luid_0x0":{"otherLoad":0,"otherVramBytes":0}}}'],
  ['a name without end', `{"fullScreen":{"name":"${'x'.repeat(300)}"}}`],
  ['a list', '[]'],
])('a line with %s is not taken', (_, line) => {
  expect(parseWatcherLine(line)).toBeNull();
});

test("lines as resources/signals' watchers write them are read", () => {
  const load = '{"otherCpuLoad":0.0734126984126984,"gpus":{"0000:01:00.0":{"otherLoad":0.412,"otherVramBytes":1283457024}}}';
  expect(changeFrom(parseWatcherLine(load) ?? {})).toEqual({
    otherCpuLoad: 0.0734126984126984,
    gpus: { '0000:01:00.0': { otherLoad: 0.412, otherVramBytes: 1_283_457_024 } },
  });
  const mac =
    '{"idleMs":812,"locked":null,"power":{"source":"battery","percent":63.5},"fullScreen":null,"started":[[412,"Blender"]],"ended":[]}';
  expect(changeFrom(parseWatcherLine(mac) ?? {})).toEqual({
    idleMs: 812,
    sessionLocked: null,
    power: { source: 'battery', percent: 63.5 },
    fullScreen: null,
  });
});

test('the watchers write nothing, fetch nothing, and start nothing', () => {
  for (const name of ['windows.ps1', 'macos.js']) {
    const script = readFileSync(join(import.meta.dirname, '../../../../resources/signals', name), 'utf8');
    expect(script).not.toMatch(
      /Invoke-(Web|Rest|Expression)|DownloadString|Start-Process|Set-Content|Out-File|doShellScript|NSURLSession|writeToFile/i,
    );
  }
});
