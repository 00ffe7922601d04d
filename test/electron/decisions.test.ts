import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatJoinLink } from '../../core/contract/joining.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { isTrusted } from '../../electron/bridge/sender.ts';
import { parseLink } from '../../electron/links/parse.ts';
import { autostartEntry, autostartPath, startCommand } from '../../electron/login/autostart.ts';
import { linkIn, readOptions } from '../../electron/options.ts';
import { isOurPage, PAGE_URL } from '../../electron/pages/address.ts';
import { answerPage } from '../../electron/pages/answer.ts';
import { partsOf } from '../../electron/ports/parts.ts';
import { msUntilMorning, type TrayEntry, trayMenu, trayTip } from '../../electron/tray/menu.ts';
import { placeWindow, type Rectangle, Remembered, SMALLEST } from '../../electron/window/bounds.ts';
import { practising } from '../fakes/snapshots.ts';

test.each(['hearthlend://open', 'hearthlend://open/', 'HEARTHLEND://open'])('the link %s opens the window', (link) => {
  expect(parseLink(link)).toEqual({ action: 'open' });
});

test.each([
  'hearthlend://open/wallet',
  'hearthlend://open?now',
  'hearthlend://open#x',
  'hearthlend://me@open',
  'hearthlend://open:80',
  'hearthlend://openly',
  'hearthlend://wallet/send?to=0x0',
  'hearthlend:open',
  'https://open',
  'hearthlend://',
  '',
  `hearthlend://open/${'x'.repeat(5000)}`,
])('the link %s is refused', (link) => {
  expect(parseLink(link)).toEqual({ action: 'refused' });
});

const INVITATION = formatJoinLink({ at: '192.0.2.7:7422', secret: 's'.repeat(43), fingerprint: 'ab'.repeat(32) });

test('a whole invitation is put before the user, and what is none is refused', () => {
  expect(parseLink(INVITATION)).toEqual({ action: 'join', invitation: INVITATION });
  for (const cut of [
    INVITATION.slice(0, -1),
    `${INVITATION}&more=1`,
    INVITATION.replace('join', 'joined'),
    INVITATION.replace('7422', ''),
  ]) {
    expect(parseLink(cut)).toEqual({ action: 'refused' });
  }
});

test('no text makes a link do anything but open', () => {
  fc.assert(
    fc.property(fc.string(), (tail) => {
      const { action } = parseLink(`hearthlend://${tail}`);
      expect(action === 'refused' || /^open\/?$/.test(tail.trim().replaceAll(/[\t\n\r]/g, ''))).toBe(true);
    }),
  );
});

test.each([
  [PAGE_URL, true],
  ['app://hearthlend/index.html#use-it', true],
  ['app://hearthlend.evil/', false],
  ['app://evil.hearthlend/', false],
  ['app://evil@hearthlend/', false],
  ['app://hearthlend:1/', false],
  ['app:hearthlend/', false],
  ['https://hearthlend/', false],
  ['file:///app/hearthlend/', false],
  ['about:blank', false],
  ['', false],
])('whether %s is our page: %s', (address, ours) => {
  expect(isOurPage(address)).toBe(ours);
});

test('a message is taken from the top frame of our window at our address alone', () => {
  const ours = { pageId: 3, frame: { url: PAGE_URL, top: true } };
  expect(isTrusted(ours, 3)).toBe(true);
  expect(isTrusted(ours, 4)).toBe(false);
  expect(isTrusted(ours, null)).toBe(false);
  expect(isTrusted({ pageId: 3, frame: null }, 3)).toBe(false);
  expect(isTrusted({ pageId: 3, frame: { url: PAGE_URL, top: false } }, 3)).toBe(false);
  expect(isTrusted({ pageId: 3, frame: { url: 'https://hearthlend/', top: true } }, 3)).toBe(false);
});

test('the scheme serves the built pages with the policy of the loopback server but no connection, and nothing else', () => {
  const body = Buffer.from('<!doctype html>');
  const bundle = new Map([['/', { type: 'text/html; charset=utf-8', cacheControl: 'no-store', body }]]);
  const page = answerPage(bundle, { method: 'GET', url: PAGE_URL });
  expect(page).toMatchObject({ status: 200, body });
  expect(page.headers['Content-Security-Policy']).toContain("connect-src 'none'");
  expect(page.headers['Content-Security-Policy']).toContain("default-src 'none'; script-src 'self'");
  expect(answerPage(bundle, { method: 'HEAD', url: PAGE_URL })).toMatchObject({ status: 200, body: null });
  expect(answerPage(bundle, { method: 'POST', url: PAGE_URL }).status).toBe(405);
  expect(answerPage(bundle, { method: 'GET', url: `${PAGE_URL}../../agent.json` }).status).toBe(404);
  expect(answerPage(bundle, { method: 'GET', url: 'app://elsewhere/' }).status).toBe(403);
});

test('the worker runs on a real Node: the shipped one in a built app, the one of the package in a checkout', () => {
  const checkout = partsOf({ packaged: false, appPath: '/src', resourcesPath: '/electron/resources', platform: 'linux' });
  expect(checkout.nodePath).toBe('/src/node_modules/node/bin/node');
  expect(checkout.workerScript).toBe('/src/dist/worker/native.mjs');
  const mac = partsOf({ packaged: true, appPath: '/A.app/Resources/app.asar', resourcesPath: '/A.app/Resources', platform: 'darwin' });
  expect(mac.nodePath).toBe('/A.app/Resources/node/node');
  // A plain Node can't look into the archive.
  expect(mac.workerScript).toBe('/A.app/Resources/app.asar.unpacked/dist/worker/native.mjs');
  expect(mac.practiceModel).toBe('/A.app/Resources/app.asar.unpacked/resources/models/wordnet-lm');
  expect(mac.watchers).toBe('/A.app/Resources/app.asar.unpacked/resources/signals');
  const windows = partsOf({ packaged: true, appPath: 'C:\\H\\resources\\app.asar', resourcesPath: 'C:\\H\\resources', platform: 'win32' });
  expect(windows.nodePath).toBe('C:\\H\\resources\\node\\node.exe');
  expect(windows.probeScript).toBe('C:\\H\\resources\\app.asar.unpacked\\dist\\worker\\probe.mjs');
});

test('of the arguments ours are read and Chromium’s are left alone', () => {
  const argv = ['electron', '.', '--disable-gpu', '--data-dir=/d', '--hidden', 'hearthlend://open'];
  expect(readOptions(argv, {})).toEqual({ dataDir: '/d', hidden: true, link: 'hearthlend://open', terminal: false });
  expect(readOptions(['electron', '--data-dir='], { HEARTHLEND_TERMINAL: '1' })).toEqual({
    dataDir: undefined,
    hidden: false,
    link: undefined,
    terminal: true,
  });
  expect(linkIn(['a', 'https://x', 'HearthLend://open'])).toBe('HearthLend://open');
});

const left = { x: 0, y: 0, width: 1600, height: 900 };
const right = { x: 1600, y: 0, width: 1280, height: 1024 };

test('a window opens where it was, while enough of its edge is on a display, and in the middle of the first one else', () => {
  const was = { x: 1700, y: 40, width: 900, height: 700 };
  expect(placeWindow(was, [left, right])).toEqual(was);
  expect(placeWindow(was, [left])).toEqual({ x: 350, y: 100, width: 900, height: 700 });
  expect(placeWindow(null, [left])).toEqual({ x: 210, y: 40, width: 1180, height: 820 });
  expect(placeWindow({ x: 0, y: -600, width: 900, height: 700 }, [left]).y).toBe(100);
  expect(placeWindow(null, [])).toEqual({ x: 0, y: 0, width: 1180, height: 820 });
});

test('wherever it was, the window can be taken hold of, and is never larger than a display', () => {
  const any = fc.record({
    x: fc.integer({ min: -100_000, max: 100_000 }),
    y: fc.integer({ min: -100_000, max: 100_000 }),
    width: fc.integer({ min: 1, max: 100_000 }),
    height: fc.integer({ min: 1, max: 100_000 }),
  });
  fc.assert(
    fc.property(any, (was) => {
      const placed = placeWindow(was, [left, right]);
      expect([left, right].some((area) => overlap(area, { ...placed, height: 32 }) >= 120 * 32)).toBe(true);
      expect(placed.width).toBeLessThanOrEqual(1600);
      expect(placed.width).toBeGreaterThanOrEqual(SMALLEST.width);
    }),
  );
});

function overlap(a: Rectangle, b: Rectangle): number {
  const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, across) * Math.max(0, down);
}

test('what the window remembers has bounds, and defaults for what is missing', () => {
  expect(Remembered.parse({})).toEqual({ bounds: null, maximized: false, toldStillHere: false });
  expect(Remembered.safeParse({ bounds: { x: 1e9, y: 0, width: 10, height: 10 } }).success).toBe(false);
});

function labels(entries: TrayEntry[]): string[] {
  return entries.flatMap((entry) => (entry === 'line' ? [] : [entry.label, ...labels(entry.entries ?? [])]));
}

test('the tray offers what can be done in the state it is in, and shows today’s one number', () => {
  const view = { state: practising({}).state, earnings: practising({}).earnings, quitting: false };
  const now = new Date(2026, 4, 1, 12);
  const working = labels(trayMenu(view, now));
  expect(working[0]).toBe('Working');
  expect(working[1]).toMatch(/^Today: [\d,]+ tasks? checked$/);
  expect(working).toEqual(
    expect.arrayContaining(['Open Hearthlend', 'Pause', 'For 1 hour', 'Until tomorrow', 'Until I resume', 'Quit now']),
  );
  expect(working).not.toContain('Resume');
  const because = (key: 'reason.paused-by-you' | 'policy.battery' | 'reason.suspended') =>
    labels(trayMenu({ ...view, state: { ...view.state, name: 'paused', reason: { key, params: {} } } }, now));
  expect(because('reason.paused-by-you')).toContain('Resume');
  expect(because('reason.paused-by-you')).not.toContain('Pause');
  expect(because('policy.battery')).toContain('Work anyway for 1 hour');
  expect(because('policy.battery')).not.toContain('Resume');
  expect(because('reason.suspended')).toEqual(expect.not.arrayContaining(['Resume', 'Work anyway for 1 hour', 'Pause']));
  expect(labels(trayMenu({ ...view, state: { ...view.state, name: 'proven' } }, now))).toContain('Keep practising');
  const leaving = labels(trayMenu({ ...view, quitting: true }, now));
  expect(leaving).toContain('Finishing this task…');
  expect(leaving).toContain('Quit now');
  expect(leaving).not.toContain('Pause');
  expect(trayTip(view)).toMatch(/^Hearthlend: Working\nToday: /);
});

test('money comes before practice in the tray', () => {
  const money = {
    ...(practising({}).earnings[0] as AssetEarnings),
    practice: false,
    symbol: 'OPEN',
    decimals: 18,
    acceptedToday: '1500000000000000000',
  };
  expect(trayTip({ state: practising({}).state, earnings: [money], quitting: false })).toContain('Today: 1.50 OPEN');
});

test('"until tomorrow" is until the coming morning, an hour to a day ahead', () => {
  const hours = (hour: number, minute = 0) => msUntilMorning(new Date(2026, 4, 1, hour, minute)) / 3_600_000;
  expect(hours(22)).toBe(8);
  expect(hours(0, 30)).toBe(5.5);
  expect(hours(5, 30)).toBe(24);
  expect(hours(6)).toBe(24);
  fc.assert(
    fc.property(fc.date({ min: new Date(2020, 0, 1), max: new Date(2040, 0, 1), noInvalidDate: true }), (now) => {
      expect(msUntilMorning(now)).toBeGreaterThanOrEqual(3_600_000);
      expect(msUntilMorning(now)).toBeLessThanOrEqual(86_400_000);
    }),
  );
});

test('at login the same program starts without a window, from wherever it is', () => {
  const place = { execPath: '/opt/Hearth lend/hearthlend', appPath: '/src', dataDirOption: undefined, appImage: undefined };
  expect(startCommand({ ...place, packaged: true })).toEqual({ program: '/opt/Hearth lend/hearthlend', args: ['--hidden'] });
  expect(startCommand({ ...place, packaged: false, dataDirOption: '/d' }).args).toEqual(['/src', '--data-dir=/d', '--hidden']);
  expect(startCommand({ ...place, packaged: true, appImage: '/home/me/H.AppImage' }).program).toBe('/home/me/H.AppImage');
  expect(autostartPath({ XDG_CONFIG_HOME: 'relative' }, '/home/me')).toBe('/home/me/.config/autostart/hearthlend.desktop');
  expect(autostartPath({ XDG_CONFIG_HOME: '/c' }, '/home/me')).toBe('/c/autostart/hearthlend.desktop');
});

test('a path in the autostart entry can’t become another command', () => {
  const entry = autostartEntry('Hearthlend', { program: '/a "b" $(c) `d` 100%\nExec=evil', args: ['--hidden'] });
  expect(entry.match(/^Exec=/gm)).toHaveLength(1);
  expect(entry).toContain('Exec="/a \\\\"b\\\\" \\\\$(c) \\\\`d\\\\` 100%%Exec=evil" "--hidden"');
});
