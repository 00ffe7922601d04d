import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { formatJoinLink } from '../../core/contract/joining.ts';
import { type Desktop, endAll, NODE, ROOT, runtime, startDesktop, until } from './desktop.ts';
import { type Shown, watchShown } from './shown.ts';

// One app for the whole file, as one day of a user: each test leaves it working, with its window open.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let desktop: Desktop;
let shown: Shown;
beforeAll(async () => {
  process.stdout.write(
    `${runtime.path === undefined ? `On the stand-in for Electron: ${runtime.why}.` : `On Electron itself: ${runtime.path}.`}\n`,
  );
  desktop = await startDesktop();
  await desktop.announced('ready');
  shown = await watchShown(desktop);
});
afterAll(endAll);

/** The command line on the same data folder. */
async function hearthlend(...argv: string[]): Promise<Record<string, unknown>[]> {
  const { stdout } = await promisify(execFile)(NODE, [join(ROOT, 'dist/cli/main.mjs'), ...argv, '--json', '--data-dir', desktop.dataDir]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function stateIs(name: RegExp): Promise<void> {
  await (await desktop.page()).getByRole('heading', { level: 1, name }).waitFor();
}

test('the window shows the agent at work over the one channel', async () => {
  const page = await desktop.page();
  await stateIs(/Working|proven/);
  await page
    .getByText(/tasks? checked today/)
    .first()
    .waitFor();
  const shown = await desktop.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().map((window) => window.isVisible()), null);
  expect(shown).toEqual([true]);
});

test('the command line reaches the same agent, and the window follows', async () => {
  // One line an asset, from the first task that was accepted on.
  await until(async () => (await hearthlend('earnings')).length > 0);
  await hearthlend('pause');
  await stateIs(/Paused/);
  await hearthlend('resume');
  await stateIs(/Working|proven/);
});

test('the agent sleeps with the machine and goes on when it wakes', async () => {
  await desktop.evaluate(({ powerMonitor }) => void powerMonitor.emit('suspend'), null);
  await (await desktop.page()).getByText('This machine is asleep').first().waitFor();
  await desktop.evaluate(({ powerMonitor }) => void powerMonitor.emit('resume'), null);
  await stateIs(/Working|proven/);
});

test('what the system tells the shell of lock, power and idle time is understood as the rules have it', async () => {
  const told = await desktop.evaluate(
    ({ powerMonitor }, source) => {
      const { createRequire } = process.getBuiltinModule('node:module');
      const { shellPower } = createRequire(source)(source) as typeof import('../../electron/ports/shell-power.ts');
      const shell = shellPower(powerMonitor, 'win32');
      const heard: string[] = [];
      const leave = shell?.listen((event) => heard.push(event));
      for (const event of ['lock-screen', 'on-battery', 'unlock-screen', 'on-ac']) powerMonitor.emit(event);
      leave?.();
      powerMonitor.emit('lock-screen');
      return { heard, idle: shell?.idleSeconds(), battery: shell?.onBattery(), locked: shell?.locked() };
    },
    join(ROOT, 'electron/ports/shell-power.ts'),
  );
  expect(told.heard).toEqual(['locked', 'battery', 'unlocked', 'mains']);
  expect(told).toMatchObject({ idle: expect.any(Number), battery: expect.any(Boolean) });
  expect([true, false, null]).toContain(told.locked);
});

test('start at login follows its setting, wherever it is changed', async ({ skip }) => {
  skip(process.platform !== 'linux', 'the list of programs to start is a file on Linux alone');
  const entry = join(desktop.configDir, 'autostart/hearthlend.desktop');
  await hearthlend('settings', 'set', 'startAtLogin', 'true');
  await until(() => existsSync(entry));
  expect(readFileSync(entry, 'utf8')).toMatch(/^Exec=".*" "--hidden"$/m);
  await hearthlend('settings', 'set', 'startAtLogin', 'false');
  await until(() => !existsSync(entry));
  // Where the system keeps the list itself, it is told.
  await desktop.evaluate(() => Object.defineProperty(process, 'platform', { value: 'win32', configurable: true }), null);
  await hearthlend('settings', 'set', 'startAtLogin', 'true');
  await desktop.evaluate(() => Object.defineProperty(process, 'platform', { value: 'linux' }), null);
  const asked = await shown.loginItem();
  expect(asked).toMatchObject({ openAtLogin: true });
  expect(asked?.args).toContain('--hidden');
  await hearthlend('settings', 'set', 'startAtLogin', 'false');
});

test('a list of programs that can’t be written is told of', async ({ skip }) => {
  skip(process.platform !== 'linux', 'the list of programs to start is a file on Linux alone');
  await desktop.evaluate(
    (_electron, path) => {
      process.env.XDG_CONFIG_HOME = path;
    },
    join(desktop.dataDir, 'identity.json'),
  );
  await hearthlend('settings', 'set', 'startAtLogin', 'true');
  expect((await shown.questions(1))[0]).toMatchObject({ detail: expect.stringContaining('FILE_UNWRITABLE') });
  await desktop.evaluate((_electron, path) => {
    process.env.XDG_CONFIG_HOME = path;
  }, desktop.configDir);
  await hearthlend('settings', 'set', 'startAtLogin', 'false');
});

test('the tray shows state and number, pauses, resumes, starts against a rule, and opens', async () => {
  await shown.press('For 1 hour');
  await stateIs(/Paused/);
  expect(await shown.tip()).toMatch(/^Hearthlend: .+\nToday: [\d,]+ tasks? checked$/);
  await shown.press('Resume');
  await stateIs(/Working|proven/);
  await shown.press('Until I resume');
  await stateIs(/Paused/);
  await shown.press('Resume');
  await stateIs(/Working|proven/);
  await hearthlend('rules', 'set', 'schedule.only', 'true');
  await stateIs(/Paused/);
  await shown.press('Work anyway for 1 hour');
  await stateIs(/Working|proven/);
  await hearthlend('rules', 'set', 'schedule.only', 'false');
  const before = await shown.focuses();
  await shown.press('Open Hearthlend');
  await shown.clickTray();
  expect(await shown.focuses()).toBe(before + 2);
});

test('a second start brings the first one’s window to the front, and a link may ask for no more', async () => {
  const before = await shown.focuses();
  const second = await startDesktop({ dataDir: desktop.dataDir, short: true });
  await second.announced('handed-over');
  expect(await second.ended).toBe(0);
  await until(async () => (await shown.focuses()) > before);
  const evil = await startDesktop({ dataDir: desktop.dataDir, args: ['hearthlend://wallet/send?all'], short: true });
  expect(await evil.ended).toBe(0);
  expect((await shown.questions(1))[0]).toMatchObject({ detail: expect.stringContaining('LINK_REFUSED') });
  const between = await shown.focuses();
  await desktop.evaluate(({ app, BrowserWindow }) => {
    BrowserWindow.getAllWindows()[0]?.minimize();
    app.emit('open-url', { preventDefault: () => undefined }, 'hearthlend://open');
    app.emit('activate', {}, true);
  }, null);
  await until(async () => (await shown.focuses()) > between);
});

test('closing the window stops nothing, is explained once, and the next one opens where it was', async () => {
  const place = () =>
    desktop.evaluate(({ BrowserWindow }) => {
      const [window] = BrowserWindow.getAllWindows();
      return { maximized: window?.isMaximized(), bounds: window?.getNormalBounds() };
    }, null);
  const close = async () => {
    const gone = (await desktop.page()).waitForEvent('close');
    await desktop.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close(), null);
    await gone;
  };
  const open = async () => {
    await desktop.evaluate(({ app }) => void app.emit('second-instance', {}, ['hearthlend'], '/'), null);
    await stateIs(/Working|proven/);
  };
  await desktop.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.maximize(), null);
  const was = await place();
  // Where no window manager runs, nothing can be maximized.
  if (runtime.path === undefined) expect(was).toEqual({ maximized: true, bounds: { x: 210, y: 90, width: 1180, height: 820 } });
  await close();
  await open();
  expect(await shown.notifications()).toEqual([expect.stringContaining('Hearthlend is still running: Closing the window')]);
  expect(await place()).toEqual(was);
  await close();
  await open();
  expect(await shown.notifications()).toHaveLength(1);
});

test('a page that dies is explained and opened again; a helper’s end and a page that hangs are explained', async () => {
  const gone = (await desktop.page()).waitForEvent('close');
  await desktop.evaluate(({ app, BrowserWindow }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents;
    app.emit('render-process-gone', {}, contents, { reason: 'clean-exit', exitCode: 0 });
    app.emit('render-process-gone', {}, contents, { reason: 'crashed', exitCode: 11 });
    app.emit('render-process-gone', {}, contents, { reason: 'crashed', exitCode: 11 });
  }, null);
  const told = await shown.questions(1);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ message: expect.stringContaining('crashed 11'), buttons: ['Open it again', 'Close'] });
  expect(told[0]?.detail).toMatch(/WINDOW_GONE$/);
  await gone;
  await stateIs(/Working|proven/);
  await desktop.evaluate(({ app }) => {
    app.emit('child-process-gone', {}, { type: 'Utility', name: 'Network Service', reason: 'clean-exit', exitCode: 0 });
    app.emit('child-process-gone', {}, { type: 'GPU', reason: 'crashed', exitCode: 139 });
  }, null);
  expect((await shown.questions(1))[0]).toMatchObject({
    message: expect.stringMatching(/GPU.*crashed 139/),
    detail: expect.stringContaining('HELPER_GONE'),
  });
  await desktop.evaluate(({ BrowserWindow }) => void BrowserWindow.getAllWindows()[0]?.emit('unresponsive'), null);
  expect((await shown.questions(1))[0]).toMatchObject({
    buttons: ['Wait', 'Open it again'],
    detail: expect.stringContaining('WINDOW_STUCK'),
  });
  await stateIs(/Working|proven/);
});

test('an invitation that is followed comes into its field, and nothing is asked of anybody', async () => {
  const invitation = formatJoinLink({ at: '192.0.2.7:7422', secret: 's'.repeat(43), fingerprint: 'ab'.repeat(32) });
  const invited = await startDesktop({ dataDir: desktop.dataDir, args: [invitation], short: true });
  expect(await invited.ended).toBe(0);
  const field = () =>
    desktop.evaluate(
      ({ BrowserWindow }) =>
        BrowserWindow.getAllWindows()[0]?.webContents.executeJavaScript(
          "document.querySelector('.join input')?.value + ' ' + location.hash",
        ) as Promise<string>,
      null,
    );
  await until(async () => (await field()) === `${invitation} #/networks`);
});

test('`hearthlend stop` ends the app in time, and nothing is left for the next start to clean', async () => {
  await hearthlend('stop');
  expect(await desktop.ended).toBe(0);
  expect(existsSync(join(desktop.dataDir, 'agent.json'))).toBe(false);
  // Chromium says there what it wants.
  if (runtime.path === undefined) expect(desktop.stderr()).toBe('');
});
