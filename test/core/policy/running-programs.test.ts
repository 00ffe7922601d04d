import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readPs, readTasklist, runningPrograms } from '../../../core/policy/running-programs.ts';

test('a program that runs is listed by its file’s name, once, and what is ours is not', async ({ skip }) => {
  skip(process.platform !== 'linux', 'this way of listing is for Linux');
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-programs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'hl-some-game');
  copyFileSync('/bin/sleep', path);
  // Not a child of ours: what we start is left out.
  const start = () => Number(execFileSync('/bin/sh', ['-c', `"${path}" 60 >/dev/null 2>&1 & echo $!`], { encoding: 'utf8' }));
  for (const pid of [start(), start()]) onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  const names = await runningPrograms('linux');
  expect(names.filter((name) => name === 'hl-some-game')).toHaveLength(1);
  expect(names).toEqual([...new Set(names)]);
  expect(names.length).toBeLessThanOrEqual(500);
});

test('Windows tells of programs and services: those of a session are listed', () => {
  // As the command itself writes it; Microsoft's documentation of tasklist, /fo csv.
  const told =
    '"System","4","Services","0","144 K"\r\n"svchost.exe","1044","Services","0","9,120 K"\r\n"Cities.exe","7312","Console","1","2.812.344 K"\r\n"blender.exe","9","RDP-Tcp#0","2","1 K"\r\n\r\n';
  expect(readTasklist(told)).toEqual(['Cities.exe', 'blender.exe']);
  expect(readTasklist('INFO: No tasks are running which match the specified criteria.\r\n')).toEqual([]);
});

test('macOS tells paths: the system’s own are left out', () => {
  const told =
    '/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder\n/usr/libexec/trustd\n/Applications/Blender.app/Contents/MacOS/Blender\n-zsh\n(sh)\n';
  expect(readPs(told)).toEqual(['Blender', 'zsh']);
});

test('a system that can’t be asked is said to be so', async () => {
  await expect(runningPrograms('aix')).rejects.toMatchObject({ code: 'PROGRAMS_UNKNOWN' });
});
