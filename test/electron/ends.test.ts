import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { type Desktop, endAll, NODE, partialProgram, quit, runtime, startDesktop, temporaryFolder, UNDISTURBED, until } from './desktop.ts';
import { watchShown } from './shown.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
afterEach(endAll);

const standInAlone = 'only the stand-in can be told to be a built app, or one in another place';

function log(desktop: Desktop): string {
  return readFileSync(join(desktop.dataDir, 'agent.log'), 'utf8');
}

test('a first Quit finishes the task, the icon says so, and a second one doesn’t wait', async () => {
  const desktop = await startDesktop({ practice: 200 });
  await desktop.announced('ready');
  const shown = await watchShown(desktop);
  const windows = await desktop.evaluate(({ app, BrowserWindow }) => {
    app.quit();
    return BrowserWindow.getAllWindows().length;
  }, null);
  expect(windows).toBe(0);
  expect(await shown.menu()).toContain('Finishing this task…');
  await shown.press('Quit now');
  expect(await desktop.ended).toBe(0);
  expect(existsSync(join(desktop.dataDir, 'agent.json'))).toBe(false);
});

test('at login it waits in the tray, without a window until somebody wants one, and leaves with the machine’s shutdown', async () => {
  const desktop = await startDesktop({ args: ['--hidden'], practice: 200 });
  await desktop.announced('started');
  const shown = await watchShown(desktop);
  // Drawn anew as tasks are accepted.
  await until(async () => (await shown.menu()).includes('Open Hearthlend'));
  expect(await desktop.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length, null)).toBe(0);
  await desktop.evaluate(({ app }) => void app.emit('activate', {}, false), null);
  await desktop.announced('ready');
  await desktop.evaluate(({ powerMonitor }) => void powerMonitor.emit('shutdown', { preventDefault: () => undefined }), null);
  expect(await desktop.ended).toBe(0);
  expect(existsSync(join(desktop.dataDir, 'agent.json'))).toBe(false);
});

test('without notifications a dialog says that closing the window stops nothing; what can’t be remembered is only logged', async () => {
  const dataDir = temporaryFolder();
  writeFileSync(join(dataDir, 'desktop.json'), '{"bounds":"rubbish"}');
  const desktop = await startDesktop({ dataDir });
  await desktop.announced('ready');
  const shown = await watchShown(desktop, { notifications: false });
  mkdirSync(join(dataDir, 'desktop.json.partial'));
  await desktop.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.close(), null);
  expect((await shown.questions(1))[0]).toMatchObject({ message: 'Hearthlend is still running' });
  expect(log(desktop)).toContain('what the window remembers is unreadable');
  expect(log(desktop)).toContain('what the window remembers was not written');
  expect(await quit(desktop)).toBe(0);
});

test('when practice is over the tray offers more of it; a dialog that fails and a page that doesn’t load are lived with', async () => {
  const dataDir = temporaryFolder();
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ practice: { shardsPerDay: 1, minutesPerDay: 10 }, rules: UNDISTURBED }));
  const desktop = await startDesktop({ dataDir });
  await desktop.announced('ready');
  const page = await desktop.page();
  await page.getByRole('heading', { level: 1, name: /proven/ }).waitFor();
  const shown = await watchShown(desktop);
  // The menu is drawn anew at the next change.
  await desktop.evaluate(({ powerMonitor }) => void powerMonitor.emit('suspend'), null);
  await until(async () => (await shown.menu())[0] === 'Paused');
  await desktop.evaluate(({ powerMonitor }) => void powerMonitor.emit('resume'), null);
  await shown.press('Keep practising');
  await page.getByRole('heading', { level: 1, name: /Working/ }).waitFor();
  await desktop.evaluate(({ app, dialog, protocol, BrowserWindow }) => {
    dialog.showMessageBox = () => Promise.reject(new Error('no display'));
    protocol.unhandle('app');
    BrowserWindow.getAllWindows()[0]?.close();
    app.emit('second-instance', {}, [], '/');
  }, null);
  await until(() => log(desktop).includes('a dialog failed'));
  expect(await quit(desktop)).toBe(0);
});

test('a data folder that another agent holds ends the start with the reason, in the terminal that watches', async () => {
  const first = await startDesktop();
  await first.announced('started');
  const dataDir = temporaryFolder();
  // Another Chromium profile, so that it isn't simply handed over.
  for (const name of readdirSync(first.dataDir)) if (name !== 'desktop') symlinkSync(join(first.dataDir, name), join(dataDir, name));
  const second = await startDesktop({ dataDir });
  const failed = await second.announced('failed');
  expect(failed.code).toBe('AGENT_RUNNING');
  expect(await second.ended).toBe(1);
  expect(second.stderr()).not.toContain('dialog:');
  expect(await quit(first)).toBe(0);
});

test('what goes wrong at a start that nobody watches is said in a dialog, with a code and no stack', async ({ skip }) => {
  skip(runtime.path !== undefined, standInAlone);
  const app = partialProgram(['dist/ui']);
  const desktop = await startDesktop({ env: { STAND_IN_APP_PATH: app, HEARTHLEND_TERMINAL: '0' } });
  const failed = await desktop.announced('failed');
  expect(failed).toMatchObject({ code: 'PAGES_MISSING', message: expect.stringContaining(join(app, 'dist/ui')) });
  expect(await desktop.ended).toBe(1);
  expect(desktop.stderr()).toMatch(/dialog: Hearthlend\n.*pages[\s\S]*\(PAGES_MISSING\)/);
  expect(desktop.stderr()).not.toMatch(/^\s+at /m);
  expect(log(desktop)).toContain('PAGES_MISSING');
});

test('a link that asks for too much is refused at a start, too', async ({ skip }) => {
  skip(runtime.path !== undefined, 'a real dialog would wait for somebody to press a button');
  const desktop = await startDesktop({ args: ['--hidden', 'hearthlend://elsewhere'] });
  await until(() => desktop.stderr().includes('LINK_REFUSED'));
  expect(await quit(desktop)).toBe(0);
});

test('a data folder that can’t be used ends the start before anything else', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  const desktop = await startDesktop({ dataDir: join(folder, 'file'), short: true });
  expect((await desktop.announced('failed')).code).toBe('DATA_DIR_UNWRITABLE');
  expect(await desktop.ended).toBe(1);
});

test.each([
  ['an exception', 'uncaught'],
  ['a promise', 'unhandled'],
])('%s that nobody caught ends the app with an explanation, and the stack goes to the log alone', async (_name, kind) => {
  const desktop = await startDesktop();
  await desktop.announced('ready');
  await desktop.evaluate((_electron, wanted) => {
    setImmediate(() => {
      if (wanted === 'unhandled') void Promise.reject(new Error('a broken promise'));
      else throw new Error('a broken thing');
    });
  }, kind);
  const failed = await desktop.announced('failed');
  expect(failed.message).toMatch(/a broken/);
  expect(failed.message).not.toMatch(/\n\s+at /);
  expect(await desktop.ended).toBe(1);
  expect(log(desktop)).toMatch(/"code":"INTERNAL".*a broken \w+\\n\s+at/);
});

test('a built app takes its Node from its resources and the links of its scheme, and leaves with the Windows session', async ({ skip }) => {
  skip(runtime.path !== undefined, standInAlone);
  const resources = temporaryFolder();
  mkdirSync(join(resources, 'node'));
  symlinkSync(NODE, join(resources, 'node/node'));
  const desktop = await startDesktop({
    env: { STAND_IN_PACKAGED: '1', STAND_IN_RESOURCES: resources, STAND_IN_APP_PATH: partialProgram([]) },
  });
  await desktop.announced('ready');
  const found = await desktop.evaluate(
    ({ app, BrowserWindow }) => ({ protocols: app.protocols, devTools: BrowserWindow.all[0]?.options.webPreferences?.devTools }),
    null,
  );
  expect(found).toEqual({ protocols: ['hearthlend'], devTools: false });
  await desktop.evaluate(({ BrowserWindow }) => void BrowserWindow.getAllWindows()[0]?.emit('session-end', {}), null);
  expect(await desktop.ended).toBe(0);
});
