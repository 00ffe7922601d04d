import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const parts = [{ name: 'versions.json', text: '{"hearthlend":"0.1.0"}\n' }];
const diagnose = async () => ({ parts, zip: () => Uint8Array.of(80, 75) });
const keyboard = (answer: string) => ({ present: true, ask: async () => answer, lines: async () => [] });
const open = (answer?: string) =>
  openConsole(() => new FakeApp(), { diagnose, ...(answer === undefined ? {} : { keyboard: keyboard(answer) }) });

test('the report is shown word for word, and written for its owner alone once somebody says yes', async () => {
  const { dataDir, run } = open('y');
  const { exitCode, stdout } = run('diagnostics', '--out', 'report.zip');
  expect(await exitCode).toBe(0);
  expect(stdout.text).toContain('{"hearthlend":"0.1.0"}');
  expect(statSync(join(dataDir, 'report.zip')).mode & 0o777).toBe(0o600);
});

test('nothing is written where somebody says anything else', async () => {
  const { dataDir, run } = open('');
  expect(await run('diagnostics', '--out', 'report.zip').exitCode).toBe(0);
  expect(existsSync(join(dataDir, 'report.zip'))).toBe(false);
});

test('where nobody can be asked it is shown, and written only with --yes', async () => {
  const { dataDir, run } = open();
  const asked = run('diagnostics', '--out', 'report.zip', '--json');
  expect(await asked.exitCode).toBe(2);
  expect(asked.stdout.json()[0]).toMatchObject({ event: 'preview', parts });
  expect(existsSync(join(dataDir, 'report.zip'))).toBe(false);
  expect(await run('diagnostics', '--out', 'report.zip', '--yes').exitCode).toBe(0);
  expect(existsSync(join(dataDir, 'report.zip'))).toBe(true);
});

test('a file that is there already is not overwritten', async () => {
  const { run } = open();
  await run('diagnostics', '--out', 'report.zip', '--yes').exitCode;
  const again = run('diagnostics', '--out', 'report.zip', '--yes', '--json');
  expect(await again.exitCode).toBe(1);
  expect(again.stdout.json().at(-1)).toMatchObject({ code: 'FILE_EXISTS', next: expect.stringContaining('--out') });
});
