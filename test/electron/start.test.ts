import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { desktopObstacle, fetchRuntime, installedRuntime, showDesktop, startDesktop } from '../../scripts/desktop.mjs';
import { endAll, NODE, ROOT, temporaryFolder } from './desktop.ts';

vi.setConfig({ testTimeout: 30_000 });
afterEach(endAll);

const machine = { platform: 'linux', env: { ...process.env, DISPLAY: ':0' }, uid: 1000, read: () => undefined };
const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
const READY = `console.log('{"event":"started"}'); console.log('{"event":"ready"}'); setInterval(() => {}, 1000);`;

/** A package electron whose runtime is a small program; without one it was not fetched. */
function electronPackage(program?: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'package.json'), '{"name":"electron","version":"45.4.1"}');
  if (program !== undefined) putRuntime(folder, program);
  return folder;
}

function putRuntime(folder: string, program: string): void {
  mkdirSync(join(folder, 'dist'));
  writeFileSync(join(folder, 'dist/version'), 'v45.4.1');
  writeFileSync(join(folder, 'path.txt'), 'electron');
  writeFileSync(join(folder, 'dist/electron'), `#!${NODE}\n${program}\n`);
  chmodSync(join(folder, 'dist/electron'), 0o755);
}

function fetcher(program: string): string {
  const path = join(temporaryFolder(), 'fetch.cjs');
  writeFileSync(path, program);
  return path;
}

async function show(
  options: Partial<Parameters<typeof showDesktop>[0]>,
): Promise<{ child: Awaited<ReturnType<typeof showDesktop>>; said: string[] }> {
  const said: string[] = [];
  const child = await showDesktop({ root: ROOT, node: NODE, machine, say: (line: string) => said.push(line), terminal, ...options });
  return { child, said };
}

test('what speaks against a desktop window is known before anything is fetched', () => {
  const restricted = (path: string) => (path.endsWith('apparmor_restrict_unprivileged_userns') ? '1\n' : undefined);
  expect(desktopObstacle(machine)).toBeUndefined();
  expect(desktopObstacle({ ...machine, env: {} })).toEqual({ why: 'there is no display', known: true });
  expect(desktopObstacle({ ...machine, uid: 0 })?.why).toContain('root');
  expect(desktopObstacle({ ...machine, read: restricted })).toMatchObject({ known: false, why: expect.stringContaining('namespaces') });
  expect(desktopObstacle({ ...machine, read: (path: string) => (path.endsWith('max_user_namespaces') ? '0' : undefined) })).toBeDefined();
  expect(desktopObstacle({ ...machine, platform: 'darwin', env: {} })).toBeUndefined();
  expect(desktopObstacle({ ...machine, platform: 'win32', env: { SSH_CONNECTION: 'x' }, uid: undefined })?.known).toBe(true);
});

test('a machine without a display, or root, goes straight to the next way of showing, which says why itself', async () => {
  for (const other of [{ env: {} }, { uid: 0 }]) {
    const { child, said } = await show({ machine: { ...machine, ...other }, folder: '/nowhere' });
    expect(child).toBeUndefined();
    expect(said).toEqual([]);
  }
});

test('a system that restricts namespaces is named', async () => {
  const { child, said } = await show({ machine: { ...machine, read: () => '1' }, folder: '/nowhere' });
  expect(child).toBeUndefined();
  expect(said.join()).toMatch(/No desktop window: .*namespaces.*browser instead/);
});

test('an app whose window comes is shown, and runs on', async () => {
  const { child, said } = await show({ folder: electronPackage(READY) });
  expect(said).toEqual([expect.stringContaining("The window is Hearthlend's own")]);
  expect(child?.exitCode).toBeNull();
  child?.kill();
});

test('a start that was handed to the running app is a success', async () => {
  const { child, said } = await show({ folder: electronPackage(`console.log('{"event":"handed-over"}')`) });
  expect(child).toBeDefined();
  expect(said).toEqual(['Hearthlend runs already; its window is in front.']);
});

test.each([
  ['that exits', 'process.exit(127)', /exit code 127/],
  ['that crashes', "process.kill(process.pid, 'SIGSEGV')", /SIGSEGV/],
  [
    'that says why it fails',
    `console.log('rubbish'); console.log('{"event":"failed","code":"X","message":"No room."}'); setInterval(() => {}, 1000)`,
    /No room\./,
  ],
])('a runtime %s makes room with its reason', async (_name, program, reason) => {
  const { child, said } = await show({ folder: electronPackage(program) });
  expect(child).toBeUndefined();
  expect(said.join()).toMatch(/No desktop window: Electron's window did not come/);
  expect(said.join()).toMatch(reason);
});

test('an app that shows no window in time is ended before the next way is tried', async () => {
  const file = join(temporaryFolder(), 'ended');
  const folder = electronPackage(
    `console.log('{"event":"started"}'); process.on('SIGTERM', () => { require('node:fs').writeFileSync(${JSON.stringify(file)}, ''); process.exit(0); }); setInterval(() => {}, 1000);`,
  );
  const outcome = await startDesktop({ command: join(folder, 'dist/electron'), args: [], env: process.env, withinMs: 500 });
  expect(outcome).toEqual({ shown: false, why: 'no window came within 0.5 s' });
  expect(existsSync(file)).toBe(true);
});

test('a runtime that can’t be started, and one of another version, count as none', async () => {
  const folder = electronPackage(READY);
  chmodSync(join(folder, 'dist/electron'), 0o644);
  expect((await show({ folder })).said.join()).toMatch(/EACCES/);
  writeFileSync(join(folder, 'dist/version'), '44.0.0');
  expect(installedRuntime(folder)).toBeUndefined();
  expect((await show({ folder: undefined as never, root: '/' })).said.join()).toContain('the package electron is not installed');
});

test('a runtime that isn’t there is fetched with progress, then shown', async () => {
  const folder = electronPackage();
  const prepared = electronPackage(READY);
  const program = `
    const fs = require('node:fs');
    for (const percent of [0, 3, 50, 100]) console.log(JSON.stringify({ percent, transferred: percent * 1e6, total: 1e8 }));
    fs.cpSync(${JSON.stringify(prepared)}, process.argv[2], { recursive: true });
  `;
  const { child, said } = await show({ folder, fetcher: fetcher(program) });
  expect(child).toBeDefined();
  expect(said.slice(0, 3)).toEqual([expect.stringContaining('Fetching'), '  50% (50 of 100 MB)', '  100% (100 of 100 MB)']);
  child?.kill();
});

test('a download that is refused falls through at once with its reason', async () => {
  const refused = await show({
    folder: electronPackage(),
    fetcher: fetcher(`console.log('{"failed":"Response code 403"}'); process.exit(1)`),
  });
  expect(refused.child).toBeUndefined();
  expect(refused.said.at(-1)).toMatch(/could not be fetched \(Response code 403\)/);
  const broken = await show({ folder: electronPackage(), fetcher: fetcher('process.exit(3)') });
  expect(broken.said.at(-1)).toMatch(/exit code 3/);
  const empty = await show({ folder: electronPackage(), fetcher: fetcher('') });
  expect(empty.said.at(-1)).toMatch(/is not there/);
});

test('the real fetcher says why a mirror that isn’t there gives nothing', async () => {
  const folder = join(ROOT, 'node_modules/electron');
  const before = existsSync(join(folder, 'path.txt'));
  const said: string[] = [];
  vi.stubEnv('ELECTRON_MIRROR', 'http://127.0.0.1:9/');
  vi.stubEnv('electron_config_cache', temporaryFolder());
  const why = await fetchRuntime({
    command: NODE,
    args: [join(ROOT, 'scripts/fetch-electron.mjs'), folder],
    say: (line: string) => said.push(line),
    terminal,
  });
  vi.unstubAllEnvs();
  expect(why).toMatch(/ECONNREFUSED|bad port|fetch failed/i);
  expect(existsSync(join(folder, 'path.txt'))).toBe(before);
});
