import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { findCookie, parseDisplay } from '../../../../core/policy/signals/x11/address.ts';
import { decodeMessage, decodeSetup } from '../../../../core/policy/signals/x11/messages.ts';
import { x11Source } from '../../../../core/policy/signals/x11/source.ts';
import { type Desk, noXvfb, openDesk } from '../../../fakes/x11.ts';
import { watch } from './watching.ts';

/** One server for all tests; starting it takes half of their time. */
let desk: Promise<Desk> | undefined;
const atDesk = (): Promise<Desk> => {
  desk ??= openDesk();
  return desk;
};
afterAll(async () => (await desk)?.kill());

const source = (env: Record<string, string | undefined>, ours: number[] = []) =>
  x11Source({ env, programOf: (pid) => ({ name: `program-${pid}`, ours: ours.includes(pid) }) });
const start = async () => {
  const found = source({ DISPLAY: (await atDesk()).display });
  if (found === null) throw new Error('no X11 source');
  return watch(found);
};

test('idle time under X11 grows while nothing is touched, and input ends it by an event', async ({ skip }) => {
  if (noXvfb !== null) skip(noXvfb);
  const { moveMouse } = await atDesk();
  const watched = await start();
  await watched.until(({ idleMs }) => idleMs != null);
  moveMouse();
  await watched.next(({ idleMs }) => idleMs != null && idleMs >= 1500);
  const returned = watched.next(({ idleMs }) => idleMs === 0);
  const from = performance.now();
  moveMouse();
  await returned;
  // A poll comes every 2 s: far below that it was the event.
  expect(performance.now() - from).toBeLessThan(1000);
});

test('the program in front that fills the screen is told by its name, and when it no longer does', async ({ skip }) => {
  if (noXvfb !== null) skip(noXvfb);
  const { openWindow } = await atDesk();
  const watched = await start();
  const game = await openWindow({ pid: 4242, fullScreen: true });
  game.front();
  await watched.until(({ fullScreen }) => fullScreen?.name === 'program-4242');
  const small = watched.next(({ fullScreen }) => fullScreen === null);
  game.setFullScreen(false);
  await small;
  const big = watched.next(({ fullScreen }) => fullScreen?.name === 'program-4242');
  game.setFullScreen(true);
  await big;
  const other = watched.next(({ fullScreen }) => fullScreen === null);
  (await openWindow({ pid: 4243, fullScreen: false })).front();
  await other;
});

test('our own window over the whole screen is nobody to yield to', async ({ skip }) => {
  if (noXvfb !== null) skip(noXvfb);
  const { display, openWindow } = await atDesk();
  (await openWindow({ pid: 77, fullScreen: true })).front();
  const ours = source({ DISPLAY: display }, [77]);
  if (ours === null) throw new Error('no X11 source');
  const watched = watch(ours);
  expect((await watched.until(({ fullScreen }) => fullScreen !== undefined)).fullScreen).toBeNull();
});

test('an X server that dies leaves idle time unknown', async ({ skip }) => {
  if (noXvfb !== null) skip(noXvfb);
  const mortal = await openDesk();
  const found = source({ DISPLAY: mortal.display });
  if (found === null) throw new Error('no X11 source');
  const watched = watch(found);
  await watched.until(({ idleMs }) => idleMs != null);
  const lost = watched.next(({ idleMs, fullScreen }) => idleMs === null && fullScreen === null);
  await mortal.kill();
  await lost;
});

test('a display where nobody listens is no error: what it would tell is unknown, said once', async () => {
  const found = source({ DISPLAY: ':59999' });
  if (found === null) throw new Error('no X11 source');
  const watched = watch(found);
  await watched.until(({ idleMs }) => idleMs === null);
  expect(watched.logged).toHaveLength(1);
  expect(watched.logged[0]).toContain('ENOENT');
});

test('X11 is not asked inside a Wayland session, nor on another machine', () => {
  expect(source({ DISPLAY: ':0', WAYLAND_DISPLAY: 'wayland-0' })).toBeNull();
  expect(source({ DISPLAY: ':0', XDG_SESSION_TYPE: 'wayland' })).toBeNull();
  expect(source({ DISPLAY: 'localhost:10.0' })).toBeNull();
  expect(source({})).toBeNull();
  expect(parseDisplay('unix:3.1')).toEqual({ display: 3, screen: 1 });
});

/** An Xauthority entry. */
function entry(family: number, address: string, display: string, name: string, data: string): Buffer {
  const field = (text: string): Buffer => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text, 'latin1')]);
  return Buffer.concat([Buffer.from([family >> 8, family & 0xff]), ...[address, display, name, data].map(field)]);
}

test('the cookie of this host and display is found, else the one for any host', () => {
  const cookie = 'MIT-MAGIC-COOKIE-1';
  const file = Buffer.concat([
    entry(256, 'other', '0', cookie, 'no'),
    entry(65_535, '', '', cookie, 'wild'),
    entry(256, 'here', '0', 'XDM-AUTHORIZATION-1', 'no'),
    entry(256, 'here', '1', cookie, 'one'),
    entry(256, 'here', '0', cookie, 'zero'),
  ]);
  const found = (display: number, host = 'here') => Buffer.from(findCookie(file, host, { display, screen: 0 }) ?? []).toString();
  expect(found(0)).toBe('zero');
  expect(found(1)).toBe('one');
  expect(found(0, 'elsewhere')).toBe('wild');
  expect(findCookie(entry(256, 'here', '0', cookie, 'x'), 'elsewhere', { display: 0, screen: 0 })).toBeNull();
});

test('bytes that no X server sends are refused or waited for, never run past', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 3 }), (bytes, screen) => {
      for (const read of [() => decodeMessage(Buffer.from(bytes)), () => decodeSetup(Buffer.from(bytes), screen)]) {
        try {
          const told = read();
          if (told !== null) expect(told.length).toBeLessThanOrEqual(bytes.byteLength);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }
      findCookie(bytes, 'here', { display: 0, screen: 0 });
    }),
  );
});
