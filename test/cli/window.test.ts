import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { isConfined } from '../../cli/window/browsers.ts';
import { windowObstacle } from '../../cli/window/window.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole, temporaryFolder } from './console.ts';

const here = { platform: 'linux', env: { DISPLAY: ':0' }, uid: 1000 } as const;

/** Puts a program in the place of the installed browser. */
function installBrowser(script: string): { folder: string } {
  const folder = temporaryFolder();
  const path = join(folder, 'chromium');
  writeFileSync(path, `#!${process.execPath}\n${script}`);
  chmodSync(path, 0o755);
  vi.stubEnv('CHROME_PATH', path);
  onTestFinished(() => void vi.unstubAllEnvs());
  return { folder };
}

const wsModule = fileURLToPath(import.meta.resolve('ws'));

test('a browser is started on a file of its owner alone, with a profile of its own, no code in its arguments and no debugging port', async () => {
  // What a browser does with the file: it follows it to the page, which lets itself in. Then its window is closed.
  const { folder } = installBrowser(`
    const { readFileSync, writeFileSync, statSync } = require('node:fs');
    const app = process.argv.find((arg) => arg.startsWith('--app='));
    const file = require('node:url').fileURLToPath(app.slice(6));
    const url = /url=([^"]+)/.exec(readFileSync(file, 'utf8'))[1];
    writeFileSync(require('node:path').join(__dirname, 'seen.json'), JSON.stringify({ argv: process.argv, mode: statSync(file).mode & 0o777, url }));
    const { WebSocket } = require(${JSON.stringify(wsModule.replace(/wrapper\.mjs$/, 'index.js'))});
    const { origin, hash } = new URL(url);
    const socket = new WebSocket(origin.replace('http', 'ws') + '/rpc', { origin });
    socket.on('open', () => socket.send(JSON.stringify({ authenticate: { code: hash.slice(6) } })));
    socket.on('message', () => process.exit(0));
  `);
  const app = new FakeApp();
  const console = openConsole(() => app, here);
  const command = console.run('start');
  await command.stdout.seen(/The window is open \(chromium\)\. Closing it doesn't stop Hearthlend/);
  const seen = JSON.parse(readFileSync(join(folder, 'seen.json'), 'utf8')) as { argv: string[]; mode: number; url: string };
  expect(seen.mode).toBe(0o600);
  expect(seen.argv.join(' ')).not.toContain(seen.url.split('#code=')[1]);
  expect(seen.argv.join(' ')).not.toMatch(/remote-debugging|no-sandbox/);
  expect(seen.argv).toContain(`--user-data-dir=${join(console.dataDir, 'window')}`);
  expect(statSync(join(console.dataDir, 'window')).mode & 0o777).toBe(0o700);
  expect(readdirSync(console.dataDir).filter((name) => name.startsWith('open-'))).toEqual([]);
  expect(command.stdout.text).not.toContain('#code=');
  // The window is closed, and the agent still runs.
  expect(app.stops).toEqual([]);
  expect(await console.run('pause').exitCode).toBe(0);
  command.signal('SIGINT');
  expect(await command.exitCode).toBe(0);
});

test('Chromium itself follows the file into the page, and the agent stays when its window goes', async () => {
  const folder = temporaryFolder();
  const path = join(folder, 'chromium');
  const flags = process.getuid?.() === 0 ? '--headless=new --no-sandbox' : '--headless=new';
  writeFileSync(
    path,
    `#!/bin/sh\necho $$ > ${join(folder, 'pid')}\nexec ${process.env.CHROME_PATH ?? '/usr/bin/chromium'} ${flags} "$@"\n`,
  );
  chmodSync(path, 0o755);
  vi.stubEnv('CHROME_PATH', path);
  onTestFinished(() => void vi.unstubAllEnvs());
  const app = new FakeApp();
  const command = openConsole(() => app, { ...here, uiFolder: join(import.meta.dirname, '../../dist/ui') }).run('start');
  await command.stdout.seen(/The window is open/);
  // The page that came in watches.
  await vi.waitUntil(() => app.listeners === 2);
  process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL');
  await vi.waitUntil(() => app.listeners === 1);
  expect(app.stops).toEqual([]);
  command.signal('SIGINT');
  expect(await command.exitCode).toBe(0);
});

test('a browser that fails is named with its exit code, and the address is printed instead', async () => {
  installBrowser('process.exit(21);');
  const command = openConsole(() => new FakeApp(), here).run('start');
  await command.stdout.seen(/chromium didn't show it \(21\)\.[\s\S]*#code=[\w-]{43}/);
  command.signal('SIGINT');
  expect(await command.exitCode).toBe(0);
});

test('what speaks against a window is known before a browser is looked for', () => {
  expect(windowObstacle(here)).toBeNull();
  expect(windowObstacle({ ...here, env: { WAYLAND_DISPLAY: 'wayland-0' } })).toBeNull();
  expect(windowObstacle({ ...here, env: {} })?.key).toBe('cli.window.no-display');
  expect(windowObstacle({ ...here, uid: 0 })?.key).toBe('cli.window.root');
  expect(windowObstacle({ platform: 'darwin', env: {}, uid: 0 })).toBeNull();
  expect(windowObstacle({ platform: 'win32', env: {}, uid: undefined })).toBeNull();
  expect(windowObstacle({ platform: 'win32', env: { SSH_CONNECTION: 'x' }, uid: undefined })?.key).toBe('cli.window.remote');
});

test('a browser from a snap is told by its place and by the script that stands for it', () => {
  const folder = temporaryFolder();
  const script = join(folder, 'chromium-browser');
  writeFileSync(script, '#!/bin/sh\nexec /snap/bin/chromium "$@"\n');
  const plain = join(folder, 'chromium');
  writeFileSync(plain, '#!/bin/sh\nexec /usr/lib/chromium/chromium "$@"\n');
  expect(isConfined(script)).toBe(true);
  expect(isConfined('/snap/bin/chromium')).toBe(true);
  expect(isConfined(plain)).toBe(false);
  expect(isConfined(join(folder, 'missing'))).toBe(false);
});
