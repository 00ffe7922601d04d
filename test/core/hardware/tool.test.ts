import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askTool } from '../../../core/hardware/tool.ts';

/** Programs of the test's own, on a PATH of its own with Node beside them. */
async function withPrograms(programs: Record<string, string>): Promise<NodeJS.ProcessEnv> {
  const folder = await mkdtemp(join(tmpdir(), 'hearthlend-tools-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!${process.execPath}\n${script}`);
    await chmod(join(folder, name), 0o755);
  }
  return { PATH: folder, LC_ALL: 'de_DE.UTF-8', LANGUAGE: 'de' };
}

const named = (name: string) => ({ name, programs: [name], args: [] });

test.skipIf(process.platform === 'win32')('a tool that hangs is killed with everything it started', async () => {
  const pidFile = join(await mkdtemp(join(tmpdir(), 'hearthlend-hang-')), 'pid');
  onTestFinished(() => rm(join(pidFile, '..'), { recursive: true }));
  // The grandchild inherits the output, so waiting for its end would be waiting for ever.
  const env = await withPrograms({
    hang: `process.stdout.write('half'); const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
      require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
      for (;;) {}`,
  });
  // What it had said counts.
  expect(await askTool(named('hang'), 1500, env)).toEqual({ outcome: 'timeout', output: 'half' });
  const pid = Number(await readFile(pidFile, 'utf8'));
  await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false);
});

test.skipIf(process.platform === 'win32')('a tool that floods is killed, whether it floods its output or its complaints', async () => {
  const flood = (stream: string) =>
    `const flood = () => { while (process.${stream}.write('x'.repeat(65536))); }; process.${stream}.on('drain', flood); flood();`;
  const env = await withPrograms({ flood: flood('stdout'), complain: flood('stderr') });
  const answers = await Promise.all(['flood', 'complain'].map((name) => askTool(named(name), 20_000, env)));
  expect(answers).toEqual([{ outcome: 'flooded' }, { outcome: 'flooded' }]);
});

test.skipIf(process.platform === 'win32')('a tool that fails tells what it said, and where it said it', async () => {
  const env = await withPrograms({ fail: "console.log('half'); console.error('broken'); process.exitCode = 9;" });
  expect(await askTool(named('fail'), 20_000, env)).toEqual({ outcome: 'failed', output: 'half\n', said: 'half\n\nbroken\n' });
});

test.skipIf(process.platform === 'win32')('a tool is asked in the plain locale, whatever the user has', async () => {
  const env = await withPrograms({ locale: 'console.log(process.env.LC_ALL, process.env.LANGUAGE);' });
  expect(await askTool(named('locale'), 20_000, env)).toMatchObject({ outcome: 'answered', output: 'C C\n' });
});

test.skipIf(process.platform === 'win32')('the first of its programs that is there is asked; where none is, it is missing', async () => {
  const env = await withPrograms({ second: "console.log('here')" });
  expect(await askTool({ name: 'tool', programs: ['first', 'second', 'third'], args: [] }, 20_000, env)).toMatchObject({
    output: 'here\n',
  });
  expect(await askTool(named('first'), 20_000, env)).toEqual({ outcome: 'missing' });
});

/** An ended process that nobody waited for (a zombie) is not running. */
function isRunning(pid: number): boolean {
  try {
    if (process.platform === 'linux') return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
