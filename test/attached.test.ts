import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';

const attached = JSON.stringify(join(import.meta.dirname, '../cli/attached.mjs'));
let running: ChildProcess | undefined;

afterEach(() => {
  if (running?.pid !== undefined && running.exitCode === null && running.signalCode === null) process.kill(-running.pid, 'SIGKILL');
});

/** Starts `program` through runAttached, in a session of its own, where no terminal sends signals. */
function start(program: string): { child: ChildProcess; nextLine: () => Promise<string> } {
  const wrapper = `import(${attached}).then(({ runAttached }) => runAttached(process.execPath, ['-e', ${JSON.stringify(program)}]))`;
  const child = spawn(process.execPath, ['-e', wrapper], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  running = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, nextLine: async () => (await lines.next()).value ?? '' };
}

test('a program run in our place ends us with its own exit code or signal', async () => {
  expect(await once(start('process.exit(7)').child, 'exit')).toEqual([7, null]);
  expect(await once(start("process.kill(process.pid, 'SIGKILL')").child, 'exit')).toEqual([null, 'SIGKILL']);
});

test('a signal sent twice at once reaches the program once', async () => {
  const { child, nextLine } = start(
    "process.on('SIGTERM', () => console.log('SIGTERM')); process.on('SIGINT', () => process.exit(3)); setInterval(() => {}, 1000); console.log('ready');",
  );
  expect(await nextLine()).toBe('ready');
  child.kill('SIGTERM');
  expect(await nextLine()).toBe('SIGTERM');
  child.kill('SIGTERM');
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([3, null]);
  expect(await nextLine()).toBe('');
});
