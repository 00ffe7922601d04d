import { spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { endAll, temporaryFolder } from './desktop.ts';

// What only a built app on the real runtime can show. Continuous integration builds the package on each system and names its program here.
vi.setConfig({ testTimeout: 120_000 });
afterEach(endAll);

const program = process.env.HEARTHLEND_APP ?? '';
const why = program === '' ? 'no built app was named by HEARTHLEND_APP' : undefined;

/** Runs the app until it ends or has said `until`. */
async function runApp(
  path: string,
  args: string[],
  env: Record<string, string>,
  until: RegExp,
): Promise<{ code: number | null; said: string }> {
  const data = `--data-dir=${temporaryFolder()}`;
  const child = spawn(path, [...args, data], { env: { ...process.env, HEARTHLEND_TERMINAL: '1', ...env } });
  let said = '';
  const heard = (bytes: Buffer) => {
    said += bytes.toString();
    if (until.test(said)) child.kill('SIGTERM');
  };
  child.stdout.on('data', heard);
  child.stderr.on('data', heard);
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

const READY = /"event":"(ready|failed)"/;

test('the built app shows its window, and the agent in it', async ({ skip }) => {
  skip(why !== undefined, why);
  expect((await runApp(program, [], {}, READY)).said).toContain('"event":"ready"');
});

test('every fuse of the binary is as the settings say', ({ skip }) => {
  skip(why !== undefined, why);
  // On macOS the program is small, and Electron a library beside it.
  const library = join(dirname(program), '../Frameworks/Electron Framework.framework/Electron Framework');
  const bytes = readFileSync(existsSync(library) ? library : program);
  const mark = 'dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX';
  const start = bytes.indexOf(mark) + mark.length;
  expect(start).toBeGreaterThan(mark.length);
  // After the mark a version, how many there are, and a digit for each: run as Node, encrypted cookies, NODE_OPTIONS, --inspect, integrity of the
  // archive, nothing but the archive, browser snapshot, file: privileges.
  expect(bytes.toString('latin1', start + 2, start + 10)).toBe('01001100');
});

test('the binary is no Node, and takes no code from the environment', async ({ skip }) => {
  skip(why !== undefined, why);
  const folder = temporaryFolder();
  const code = join(folder, 'code.cjs');
  writeFileSync(code, `require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'ran'))}, '')`);
  expect((await runApp(program, [code], { ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: `--require ${code}` }, READY)).said).toMatch(READY);
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('it opens no debugger', async ({ skip }) => {
  skip(why !== undefined, why);
  const { said } = await runApp(program, ['--inspect=0'], {}, READY);
  expect(said).toMatch(READY);
  expect(said).not.toContain('Debugger listening');
});

test('an archive that was changed is not run', async ({ skip }) => {
  skip(why !== undefined, why);
  skip(process.platform === 'linux', 'Electron checks the archive on Windows and macOS alone');
  const mac = process.platform === 'darwin';
  const app = mac ? dirname(dirname(dirname(program))) : dirname(program);
  const copy = join(temporaryFolder(), mac ? 'Hearthlend.app' : 'app');
  cpSync(app, copy, { recursive: true, verbatimSymlinks: true });
  const archive = join(copy, mac ? 'Contents/Resources' : 'resources', 'app.asar');
  const bytes = readFileSync(archive);
  const at = bytes.indexOf('requestSingleInstanceLock');
  expect(at).toBeGreaterThan(0);
  bytes.write('X', at);
  rmSync(archive);
  writeFileSync(archive, bytes);
  const { code, said } = await runApp(join(copy, relative(app, program)), [], {}, READY);
  expect(said).not.toContain('"event":"started"');
  expect(code).not.toBe(0);
});
