import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage, encodeMessage, readString, readWords } from '../../../../core/policy/signals/wayland/messages.ts';
import { waylandSource } from '../../../../core/policy/signals/wayland/source.ts';
import { openCompositor } from '../../../fakes/compositor.ts';
import { watch } from './watching.ts';

const IDLE = { wl_seat: 8, ext_idle_notifier_v1: 1 };

function start(env: Record<string, string | undefined>) {
  const source = waylandSource(env);
  if (source === null) throw new Error('no Wayland source');
  return watch(source);
}

test('idle time under Wayland comes from its idle protocol, and ends with the event of input', async () => {
  const compositor = await openCompositor(IDLE);
  const watched = start({ WAYLAND_DISPLAY: compositor.display });
  expect((await watched.until(({ idleMs }) => idleMs != null)).idleMs).toBe(0);
  expect(compositor.timeouts).toEqual([1000]);
  const idle = watched.next(({ idleMs }) => idleMs != null && idleMs >= 1000);
  compositor.idled();
  await idle;
  await watched.next(({ idleMs }) => idleMs != null && idleMs > 1000);
  const returned = watched.next(({ idleMs }) => idleMs === 0);
  compositor.resumed();
  await returned;
});

test('the program in front that fills the screen is told where the compositor tells of windows', async () => {
  const compositor = await openCompositor({ ...IDLE, zwlr_foreign_toplevel_manager_v1: 3 });
  const watched = start({ WAYLAND_DISPLAY: compositor.display });
  await watched.until(({ idleMs }) => idleMs != null);
  const shown = watched.next(({ fullScreen }) => fullScreen?.name === 'steam_app_1091500');
  compositor.window(1, { appId: 'org.mozilla.firefox', states: [0] });
  compositor.window(2, { appId: 'steam_app_1091500', states: [2, 3] });
  await shown;
  const behind = watched.next(({ fullScreen }) => fullScreen === null);
  compositor.window(2, { states: [3] });
  await behind;
  const again = watched.next(({ fullScreen }) => fullScreen?.name === 'steam_app_1091500');
  compositor.window(2, { states: [2, 3] });
  await again;
  const gone = watched.next(({ fullScreen }) => fullScreen === null);
  compositor.window(2, { closed: true });
  await gone;
});

test('a compositor that tells nothing of idle time leaves it unknown', async () => {
  const compositor = await openCompositor({ wl_seat: 8 });
  const watched = start({ WAYLAND_DISPLAY: compositor.display });
  await watched.until(({ idleMs }) => idleMs === null);
  expect(watched.logged[0]).toContain('neither idle time');
});

test('a compositor that dies leaves idle time unknown, and so does one that talks nonsense', async () => {
  for (const end of ['die', 'nonsense'] as const) {
    const compositor = await openCompositor(IDLE);
    const watched = start({ WAYLAND_DISPLAY: compositor.display });
    await watched.until(({ idleMs }) => idleMs != null);
    const lost = watched.next(({ idleMs }) => idleMs === null);
    if (end === 'die') await compositor.die();
    else compositor.send(Buffer.from('this is not Wayland at all'));
    await lost;
  }
});

test('the socket is found as Wayland finds it', () => {
  expect(waylandSource({ WAYLAND_DISPLAY: 'wayland-1', XDG_RUNTIME_DIR: '/run/user/1000' })).not.toBeNull();
  expect(waylandSource({ WAYLAND_DISPLAY: 'wayland-1' })).toBeNull();
  expect(waylandSource({ XDG_RUNTIME_DIR: '/run/user/1000' })).toBeNull();
});

test('what KWin 5.27 has sent is read as it was meant: its globals, idle, active, idle', () => {
  let bytes: Buffer = readFileSync(join(import.meta.dirname, '../../../fixtures/policy/kwin-5.27.5-idle.bin'));
  const globals = new Map<string, number>();
  const others: string[] = [];
  for (let next = decodeMessage(bytes); next !== null; next = decodeMessage(bytes)) {
    const { object, opcode, body } = next.message;
    if (object === 2) {
      const { text, next: version } = readString(body, 4);
      globals.set(text, body.readUInt32LE(version));
    } else if (body.byteLength === 0) others.push(opcode === 0 ? 'idled' : 'resumed');
    bytes = bytes.subarray(next.length);
  }
  expect(bytes.byteLength).toBe(0);
  expect(globals.get('ext_idle_notifier_v1')).toBe(1);
  expect(globals.get('wl_seat')).toBe(8);
  expect(others).toEqual(['idled', 'resumed', 'idled']);
});

test('what is written is read again, and bytes that no compositor sends are refused or waited for', () => {
  fc.assert(
    fc.property(
      fc.nat(0xffff_ffff),
      fc.nat(0xffff),
      fc.string({ unit: 'grapheme', maxLength: 200 }),
      fc.nat(0xffff_ffff),
      (object, opcode, text, number) => {
        const written = encodeMessage(object, opcode, text, number);
        const read = decodeMessage(Buffer.concat([written, Buffer.from([1, 2, 3])]));
        expect(read).toMatchObject({ length: written.byteLength, message: { object, opcode } });
        const { text: textRead, next } = readString(read?.message.body as Buffer, 0);
        expect(textRead).toBe(text);
        expect(read?.message.body.readUInt32LE(next)).toBe(number);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const read of [decodeMessage, (all: Buffer) => readString(all, 0), (all: Buffer) => readWords(all, 0)]) {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }
    }),
  );
});
