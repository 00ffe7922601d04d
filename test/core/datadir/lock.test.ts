import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { lockDataDir } from '../../../core/datadir/lock.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that holds the lock until it is killed. */
async function holder(folder: string): Promise<ChildProcess> {
  const script = `import { lockDataDir } from ${JSON.stringify(join(import.meta.dirname, '../../../core/datadir/lock.ts'))};
    try { lockDataDir(${JSON.stringify(folder)}); process.stdout.write('held'); setInterval(() => {}, 1000); }
    catch (error) { process.stdout.write(error.code + ' ' + error.params.pid); }`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function said(child: ChildProcess): Promise<string> {
  const [text] = await once(child.stdout ?? child, 'data');
  return String(text);
}

const scratch = () => mkdtempSync(join(tmpdir(), 'lock-'));

test('a second agent on a folder is refused with the process id of the first', async () => {
  const folder = scratch();
  const first = await holder(folder);
  expect(await said(first)).toBe('held');
  expect(() => lockDataDir(folder)).toThrow(expect.objectContaining({ code: 'AGENT_RUNNING', params: { pid: String(first.pid) } }));
  expect(await said(await holder(folder))).toBe(`AGENT_RUNNING ${first.pid}`);
});

test('the lock goes with its process, however that ends, and leaves nothing to clean up', async () => {
  const folder = scratch();
  for (let round = 0; round < 3; round += 1) {
    const child = await holder(folder);
    expect(await said(child)).toBe('held');
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  const lock = lockDataDir(folder);
  expect(statSync(join(folder, 'agent.lock')).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'agent.pid')).mode & 0o777).toBe(0o600);
  lock.release();
  lock.release();
  expect(existsSync(join(folder, 'agent.pid'))).toBe(false);
});

test('the same process can not take it twice, and can take it again once it is released', async () => {
  const folder = scratch();
  const lock = lockDataDir(folder);
  expect(() => lockDataDir(folder)).toThrow(expect.objectContaining({ code: 'AGENT_RUNNING', params: { pid: String(process.pid) } }));
  expect(await said(await holder(folder))).toBe(`AGENT_RUNNING ${process.pid}`);
  lock.release();
  lockDataDir(folder).release();
});

test('of many that start at once, one holds it', async () => {
  const folder = scratch();
  const started = await Promise.all(Array.from({ length: 5 }, () => holder(folder)));
  const answers = await Promise.all(started.map(said));
  expect(answers.filter((answer) => answer === 'held')).toHaveLength(1);
  expect(answers.filter((answer) => answer.startsWith('AGENT_RUNNING'))).toHaveLength(4);
});

test('a folder in which no lock can be made is named', () => {
  const folder = scratch();
  expect(() => lockDataDir(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE' }));
  mkdirSync(join(folder, 'agent.lock'));
  expect(() => lockDataDir(folder)).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE' }));
  rmSync(join(folder, 'agent.lock'), { recursive: true });
  chmodSync(folder, 0o700);
  lockDataDir(folder).release();
});
