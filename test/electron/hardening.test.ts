import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { pagePreferences } from '../../electron/window/preferences.ts';
import { type Desktop, endAll, quit, ROOT, runtime, startDesktop } from './desktop.ts';

// Electron's security checklist, item by item, and where each is shown. What Electron alone can show is in packaged.test.ts, which continuous
// integration runs on the packages that it built; the tests here run on the real runtime wherever one is found.
//
// | item of the checklist                                    | shown by                                                                |
// |----------------------------------------------------------|-------------------------------------------------------------------------|
// | only our own content, on a scheme of our own             | "the scheme serves the built pages…" (decisions), "every request…"      |
// | no Node in pages, frames or workers; context isolation   | "a page is one of the web…", "a page has the one channel…"              |
// | sandbox for every process                                | "a page is one of the web…"                                             |
// | permissions: requests, checks, devices, screen           | "every permission, device and picture of the screen is refused…"        |
// | web security on, no insecure content, no experiments     | "a page is one of the web…"                                             |
// | content security policy, as a header                     | "the policy holds in the page…", "the scheme serves the built pages…"   |
// | no webview, no other window, no navigation               | "a page is one of the web…", "a page that wants to go elsewhere stays…" |
// | nothing is opened outside: no openExternal at all        | "nothing in the shell opens…"                                           |
// | IPC: sender, frame and address; no channel but one       | "a message from another page…", "a page has the one channel…"           |
// | no call that is the command line's alone                 | "the page can’t call what is the command line’s alone…"                 |
// | certificate errors are never ignored                     | "nothing in the shell opens…"                                           |
// | downloads                                                | "every request of a page but for our own files, and every download…"    |
// | links of our own scheme                                  | "the link … is refused" (decisions)                                     |
// | fuses                                                    | "…its fuses are blown so" (packages/desktop), packaged: of the binary   |
// | integrity of the archive                                 | packaged: "an archive that was changed…"                                |
// | neither a Node nor debugged, in the binary itself        | packaged: "the binary is no Node…", "…opens no debugger…"               |
// | a current Electron                                       | package.json pins it; a newer one is a change like any other            |
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let desktop: Desktop;
beforeAll(async () => {
  desktop = await startDesktop();
  await desktop.announced('ready');
});
afterAll(async () => {
  // A process that is killed tells nothing of which of its lines ran.
  expect(await quit(desktop)).toBe(0);
  await endAll();
});

async function stateIs(name: RegExp): Promise<void> {
  await (await desktop.page()).getByRole('heading', { level: 1, name }).waitFor();
}

test('a page is one of the web: sandboxed, isolated, without Node, webview or experiments', async ({ skip }) => {
  const wanted = {
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInWorker: false,
    nodeIntegrationInSubFrames: false,
    webviewTag: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    experimentalFeatures: false,
    plugins: false,
    navigateOnDragDrop: false,
    spellcheck: false,
  };
  expect(pagePreferences({ preload: '/p', devTools: false })).toEqual({ preload: '/p', devTools: false, ...wanted });
  skip(runtime.path !== undefined, 'Electron does not tell what a window was made with');
  const made = await desktop.evaluate(
    ({ app, BrowserWindow }) => ({
      preferences: BrowserWindow.getAllWindows().map(({ options }) => options.webPreferences),
      sandboxed: app.sandboxed,
    }),
    null,
  );
  expect(made.preferences).toEqual([{ ...wanted, devTools: true, preload: join(ROOT, 'dist/electron/preload.cjs') }]);
  expect(made.sandboxed).toBe(true);
});

test('every permission, device and picture of the screen is refused, but for putting text on the clipboard', async ({ skip }) => {
  skip(runtime.path !== undefined, 'Electron does not tell its handlers; what they come to is asked of the page below');
  const found = await desktop.evaluate(({ session }) => {
    // The whole list of electron.d.ts.
    const all =
      'ar automatic-fullscreen background-fetch background-sync captured-surface-control clipboard-read clipboard-sanitized-write deprecated-sync-clipboard-read display-capture fileSystem fullscreen geolocation geolocation-approximate hand-tracking hid idle-detection keyboardLock local-fonts local-network local-network-access loopback-network media mediaKeySystem midi midiSysex nfc notifications openExternal payment-handler periodic-background-sync persistent-storage pointerLock screen-wake-lock sensors serial smart-card speaker-selection storage-access system-wake-lock top-level-storage-access usb vr web-app-installation web-printing window-management unknown'.split(
        ' ',
      ) as Parameters<typeof session.defaultSession.asks>[0][];
    const { defaultSession } = session;
    const granted = (address: string) =>
      all.filter((permission) => defaultSession.asks(permission, address) || defaultSession.checks(permission, address));
    return {
      ours: granted('app://hearthlend/'),
      strangers: granted('https://hearthlend/'),
      device: defaultSession.device(),
      display: defaultSession.display(),
    };
  }, null);
  expect(found).toEqual({ ours: ['clipboard-sanitized-write'], strangers: [], device: false, display: false });
});

test('every request of a page but for our own files, and every download, is refused', async ({ skip }) => {
  skip(runtime.path !== undefined, 'Electron does not tell its handlers; what they come to is asked of the page below');
  const found = await desktop.evaluate(({ session }) => {
    const { defaultSession } = session;
    let downloads = 0;
    defaultSession.emit('will-download', {
      preventDefault: () => {
        downloads += 1;
      },
    });
    const tried = [
      'https://example.com/',
      'http://127.0.0.1:1/',
      'ws://localhost/',
      'file:///etc/passwd',
      'ftp://x/',
      'blob:app://hearthlend/1',
      'app://elsewhere/',
      'app://hearthlend/',
      'data:image/png;base64,',
    ];
    return { passed: tried.filter((url) => !defaultSession.cancels(url)), downloads };
  }, null);
  expect(found.passed).toEqual(['app://hearthlend/', 'data:image/png;base64,']);
  expect(found.downloads).toBeGreaterThan(0);
});

test('a session that is made later is shut like the first', async ({ skip }) => {
  skip(runtime.path !== undefined, 'Electron does not tell its handlers');
  const open = await desktop.evaluate(({ app, FakeSession }) => {
    const later = new FakeSession();
    const before = later.checks('media', 'app://hearthlend/');
    app.emit('session-created', later);
    return { before, after: later.checks('media', 'app://hearthlend/') || later.device() || !later.cancels('https://example.com/') };
  }, null);
  expect(open).toEqual({ before: true, after: false });
});

test('nothing in the shell opens anything outside, ignores a certificate, loads another page or runs code in one', () => {
  const files = readdirSync(join(ROOT, 'electron'), { recursive: true, withFileTypes: true }).filter((entry) => entry.name.endsWith('.ts'));
  const source = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\n');
  expect(files.length).toBeGreaterThan(20);
  const forbidden =
    /\b(openExternal|openPath|certificate-error|select-client-certificate|setCertificateVerifyProc|ignore-certificate-errors|appendSwitch|enableBlinkFeatures|insertCSS|loadFile|ipcMain\.handle|exposeInIsolatedWorld|allowServiceWorkers|bypassCSP)\b/g;
  expect(source.match(forbidden)).toBeNull();
  // Our own pages, with an address inside of them that the links' rules have let through.
  expect(new Set(source.match(/\.loadURL\([`$]*\{?\w+/g))).toEqual(new Set(['.loadURL(`${PAGE_ORIGIN', '.loadURL(`${PAGE_URL']));
  // The one page that code is run in is the GPU window's that tries to break out.
  expect(source.match(/\bexecuteJavaScript\b.*/g)).toEqual(['executeJavaScript(expression),']);
  expect(source.match(/\bshell\b.*from 'electron'/)).toBeNull();
});

test('the policy holds in the page: no text becomes code, markup, a worker or a frame of another', async () => {
  const page = await desktop.page();
  const found = await page.evaluate(async () => {
    const refused = (act: () => unknown) => {
      try {
        act();
        return 'done';
      } catch {
        return 'refused';
      }
    };
    const inline = document.createElement('script');
    const handler = document.createElement('img');
    return {
      handler: refused(() => handler.setAttribute('onerror', 'window.broken = true')),
      // Later, since what a debugger evaluates may do so itself.
      code: await new Promise((resolve) => setTimeout(() => resolve(refused(() => new Function('return 1')())))),
      inline: refused(() => {
        inline.textContent = 'window.broken = true';
        document.body.append(inline);
      }),
      markup: refused(() => {
        document.createElement('div').innerHTML = '<b></b>';
      }),
      worker: refused(() => new Worker('/assets/x.js')),
      broken: 'broken' in window,
    };
  });
  expect(found).toEqual({ handler: 'refused', code: 'refused', inline: 'refused', markup: 'refused', worker: 'refused', broken: false });
  await page.reload();
  await stateIs(/./);
});

test('a page has the one channel and nothing else: no Node, no other channel, no network, no permission but copying', async () => {
  const page = await desktop.page();
  const found = await page.evaluate(async () => {
    const { hearthlend } = window as unknown as { hearthlend: object };
    const refused = (work: Promise<unknown>) => work.then(() => 'reached').catch(() => 'refused');
    return {
      bridge: Object.keys(hearthlend).sort(),
      node: [typeof Reflect.get(window, 'require'), typeof Reflect.get(window, 'process'), typeof Reflect.get(window, 'ipcRenderer')],
      network: await refused(fetch('https://example.com/')),
      place: await refused(new Promise((resolve, reject) => navigator.geolocation.getCurrentPosition(resolve, reject))),
      notifications: (await navigator.permissions.query({ name: 'notifications' })).state,
      opened: window.open('https://example.com/') === null,
    };
  });
  expect(found).toMatchObject({
    bridge: ['onMessage', 'send'],
    node: ['undefined', 'undefined', 'undefined'],
    network: 'refused',
    place: 'refused',
  });
  expect(found.notifications).not.toBe('granted');
  expect(await page.evaluate(() => navigator.clipboard.writeText('copied').then(() => 'copied'))).toBe('copied');
});

test('a page that wants to go elsewhere stays, and reloads when asked', async () => {
  const page = await desktop.page();
  const here = page.url();
  await page.evaluate(() => {
    location.href = 'https://example.com/';
  });
  await page.evaluate(() => {
    const frame = document.createElement('iframe');
    frame.src = 'https://example.com/';
    document.body.append(frame);
  });
  await stateIs(/./);
  expect(page.url()).toBe(here);
  await page.reload();
  await stateIs(/Working|proven/);
});

test('the page can’t call what is the command line’s alone, and rubbish is not answered', async () => {
  const page = await desktop.page();
  const replies = await page.evaluate(async () => {
    const bridge = (
      window as unknown as { hearthlend: { send(message: unknown): void; onMessage(listener: (message: unknown) => void): void } }
    ).hearthlend;
    const heard: Array<{ id?: number }> = [];
    await new Promise<void>((resolve) => {
      bridge.onMessage((message) => {
        const { id } = message as { id?: number };
        // The page's own calls have small numbers, and may still be answered.
        if (id !== undefined && id > 9000) heard.push({ ...(message as object), id });
        if (id === 9004) resolve();
      });
      bridge.send({ id: 9001, call: 'agent.stop', input: { now: true } });
      bridge.send('rubbish');
      bridge.send({ id: 9002, call: 'session.code', input: {} });
      bridge.send({ id: 9003, call: 'no.such', input: {} });
      bridge.send({ id: 9004, call: 'earnings.summary', input: {} });
    });
    return heard.sort((a, b) => (a.id ?? 0) - (b.id ?? 0));
  });
  expect(replies).toMatchObject([
    { id: 9001, ok: false, error: { code: 'RPC_FORBIDDEN' } },
    { id: 9002, ok: false, error: { code: 'RPC_FORBIDDEN' } },
    { id: 9003, ok: false, error: { code: 'RPC_UNKNOWN_CALL' } },
    { id: 9004, ok: true },
  ]);
  await page.reload();
  await stateIs(/./);
});

test('a message from another page, another frame or another address is dropped', async () => {
  const answered = await desktop.evaluate(async ({ BrowserWindow, ipcMain }) => {
    const [window] = BrowserWindow.getAllWindows();
    const contents = window?.webContents as unknown as { id: number; send(...args: unknown[]): void };
    const sent: unknown[] = [];
    const stranger = { id: contents.id + 100, send: (...args: unknown[]) => sent.push(args), isDestroyed: () => false };
    const ours = { ...stranger, id: contents.id };
    const url = 'app://hearthlend/';
    const raw = { id: 1, call: 'earnings.summary', input: {} };
    ipcMain.emit('hearthlend:rpc', { sender: stranger, senderFrame: { url, parent: null } }, raw);
    ipcMain.emit('hearthlend:rpc', { sender: ours, senderFrame: { url, parent: {} } }, raw);
    ipcMain.emit('hearthlend:rpc', { sender: ours, senderFrame: { url: 'https://hearthlend/', parent: null } }, raw);
    ipcMain.emit('hearthlend:rpc', { sender: ours, senderFrame: null }, raw);
    await new Promise((resolve) => setImmediate(resolve));
    return sent.length;
  }, null);
  expect(answered).toBe(0);
  expect(readFileSync(join(desktop.dataDir, 'agent.log'), 'utf8')).toContain('a message of a stranger was dropped');
});
