import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { logFiles, openLog } from '../../../core/log/log.ts';

function logPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-log-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'agent.log');
}

const noFallback = (line: string) => expect.unreachable(line);
const eventsIn = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { event: string }).event);

test('every line is one JSON object with its time, for the user alone', () => {
  const path = logPath();
  openLog(path, () => 0, noFallback)('warn', 'worker-ended', { code: 'WORKER_CRASHED', how: 'a\nb' });
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    at: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    event: 'worker-ended',
    code: 'WORKER_CRASHED',
    how: 'a\nb',
  });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('the level changes while it is open: what is less grave is left out from then on', () => {
  const path = logPath();
  const log = openLog(path, () => 0, noFallback);
  log('debug', 'unseen');
  log('info', 'seen');
  log.setLevel?.('error');
  log('warn', 'unseen');
  log('error', 'grave');
  log.setLevel?.('debug');
  log('debug', 'small');
  expect(eventsIn(path)).toEqual(['seen', 'grave', 'small']);
});

test('however much is logged, a bounded number of files of bounded size is kept, the newest lines among them', () => {
  const path = logPath();
  const log = openLog(path, () => 0, noFallback);
  const lines = 9000;
  for (let line = 0; line < lines; line += 1) log('info', `line-${line}`, { filler: 'x'.repeat(3500) });
  const files = readdirSync(join(path, '..'));
  expect(files.sort()).toEqual(['agent.log', 'agent.log.1', 'agent.log.2', 'agent.log.3']);
  for (const file of logFiles(path)) expect(statSync(file).size).toBeLessThanOrEqual(5 * 2 ** 20);
  expect(eventsIn(path).at(-1)).toBe(`line-${lines - 1}`);
});

test('a line that is too long stays JSON', () => {
  const path = logPath();
  openLog(path, () => 0, noFallback)('info', 'long', { filler: '"'.repeat(100_000) });
  expect(readFileSync(path, 'utf8').length).toBeLessThan(5000);
  expect(eventsIn(path)).toEqual(['long']);
});

test('what can not be written goes to the fallback, and nothing is thrown', () => {
  const told: string[] = [];
  openLog(
    '/proc/no-such-folder/agent.log',
    () => 0,
    (line) => told.push(line),
  )('error', 'lost');
  expect(told).toHaveLength(1);
  expect(told[0]).toContain('"lost"');
});
