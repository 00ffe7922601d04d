import fc from 'fast-check';
import { expect, test } from 'vitest';
import { busSockets, connectBus } from '../../../../core/policy/signals/dbus/connection.ts';
import { decodeMessage, encodeMessage, KIND } from '../../../../core/policy/signals/dbus/messages.ts';
import { parseSignature } from '../../../../core/policy/signals/dbus/signature.ts';
import { Reader, type Writable, Writer } from '../../../../core/policy/signals/dbus/values.ts';
import { gnomeIdleSource } from '../../../../core/policy/signals/linux/gnome-idle.ts';
import { judgeSession, logindSource } from '../../../../core/policy/signals/linux/logind.ts';
import { meteredSource } from '../../../../core/policy/signals/linux/metered.ts';
import { noBus, openBus, openService, type Service } from '../../../fakes/bus.ts';
import { watch } from './watching.ts';

const LOGIND = '/org/freedesktop/login1';
const SESSION = `${LOGIND}/session/_32`;
const yes = { signature: 'b', value: true };
const no = { signature: 'b', value: false };

async function logind(address: string): Promise<Service> {
  const service = await openService(address, 'org.freedesktop.login1');
  service.properties.set(`${LOGIND} PreparingForSleep`, no);
  service.properties.set(`${LOGIND}/seat/seat0 ActiveSession`, { signature: '(so)', value: ['2', SESSION] });
  service.properties.set(`${SESSION} Class`, { signature: 's', value: 'user' });
  service.properties.set(`${SESSION} LockedHint`, no);
  service.properties.set(`${SESSION} IdleHint`, no);
  service.properties.set(`${SESSION} IdleSinceHint`, { signature: 't', value: 0n });
  return service;
}

const changed = (path: string) => ({
  path,
  interface: 'org.freedesktop.DBus.Properties',
  member: 'PropertiesChanged',
  signature: 'sa{sv}as',
  values: ['org.freedesktop.login1.Session', { LockedHint: yes }, []] as Writable[],
});

test('the screen is locked when logind says so, at the moment of its signal; and the machine sleeps', async ({ skip }) => {
  if (noBus !== null) skip(noBus);
  const { address } = await openBus();
  const service = await logind(address);
  const watched = watch(logindSource({ DBUS_SYSTEM_BUS_ADDRESS: address }));
  expect(await watched.until(({ sessionLocked }) => sessionLocked != null)).toEqual({ sessionLocked: false, idleMs: null });
  const locked = watched.next(({ sessionLocked }) => sessionLocked === true);
  service.properties.set(`${SESSION} LockedHint`, yes);
  service.emit(changed(SESSION));
  await locked;
  const idle = watched.next(({ idleMs }) => idleMs != null && idleMs >= 60_000);
  service.properties.set(`${SESSION} IdleHint`, yes);
  service.properties.set(`${SESSION} IdleSinceHint`, { signature: 't', value: BigInt(Date.now() - 60_000) * 1000n });
  service.emit(changed(SESSION));
  await idle;
  const woken = watched.next(() => watched.sleeps.length === 2);
  for (const value of [true, false]) {
    service.emit({ path: LOGIND, interface: 'org.freedesktop.login1.Manager', member: 'PrepareForSleep', signature: 'b', values: [value] });
  }
  await woken;
  expect(watched.sleeps).toEqual([true, false]);
});

test('a bus that dies leaves what it told unknown; where none is, nothing is known and nothing fails', async ({ skip }) => {
  if (noBus !== null) skip(noBus);
  const { address, die } = await openBus();
  await logind(address);
  const watched = watch(logindSource({ DBUS_SYSTEM_BUS_ADDRESS: address }));
  await watched.until(({ sessionLocked }) => sessionLocked === false);
  const lost = watched.next(({ sessionLocked }) => sessionLocked === null);
  await die();
  await lost;
  const nowhere = watch(meteredSource({ DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/no/such/bus' }));
  await nowhere.until(({ metered }) => metered === null);
  expect(nowhere.logged[0]).toContain('ENOENT');
});

test('a session says whether it is locked, and idle only where it says since when', () => {
  const facts = { class: 'user', locked: false, idle: false, idleSince: 0n };
  expect(judgeSession(facts, 5000)).toEqual({ sessionLocked: false, idleMs: null });
  expect(judgeSession({ ...facts, class: 'greeter' }, 5000)).toMatchObject({ sessionLocked: true });
  expect(judgeSession({ ...facts, locked: null }, 5000)).toMatchObject({ sessionLocked: null });
  expect(judgeSession({ ...facts, idle: true, idleSince: 2_000_000n }, 5000)).toMatchObject({ idleMs: 3000 });
  // The clock was set back.
  expect(judgeSession({ ...facts, idle: true, idleSince: 9_000_000n }, 5000)).toMatchObject({ idleMs: null });
});

test("GNOME's idle time is asked for, and input ends it by the event that was asked for", async ({ skip }) => {
  if (noBus !== null) skip(noBus);
  const { address } = await openBus();
  const mutter = await openService(address, 'org.gnome.Mutter.IdleMonitor');
  let watches = 0;
  let idle = 4200n;
  const asked = Promise.withResolvers<number>();
  mutter.onCall = (_path, member) => {
    if (member === 'GetIdletime') return { signature: 't', values: [idle] };
    watches += 1;
    if (member === 'AddUserActiveWatch') asked.resolve(watches);
    return { signature: 'u', values: [watches] };
  };
  const source = gnomeIdleSource({ DBUS_SESSION_BUS_ADDRESS: address, XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' });
  if (source === null) throw new Error('no source for GNOME');
  const watched = watch(source);
  await watched.until(({ idleMs }) => idleMs === 4200);
  const fire = (id: number) =>
    mutter.emit({
      path: '/org/gnome/Mutter/IdleMonitor/Core',
      interface: 'org.gnome.Mutter.IdleMonitor',
      member: 'WatchFired',
      signature: 'u',
      values: [id],
    });
  fire(1);
  const active = await asked.promise;
  idle = 3n;
  const returned = watched.next(({ idleMs }) => idleMs === 0);
  // The answer that carries the watch's number and what follows it come one after the other.
  fire(active);
  await returned;
});

test('GNOME is asked on GNOME alone', () => {
  expect(gnomeIdleSource({ DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x', XDG_CURRENT_DESKTOP: 'KDE' })).toBeNull();
  expect(gnomeIdleSource({ XDG_CURRENT_DESKTOP: 'GNOME' })).toBeNull();
});

test('a network that is paid for by what is sent is told by NetworkManager, guesses included', async ({ skip }) => {
  if (noBus !== null) skip(noBus);
  const { address } = await openBus();
  const path = '/org/freedesktop/NetworkManager';
  const manager = await openService(address, 'org.freedesktop.NetworkManager');
  manager.properties.set(`${path} Version`, { signature: 's', value: '1.42.4' });
  manager.properties.set(`${path} Metered`, { signature: 'u', value: 4 });
  const watched = watch(meteredSource({ DBUS_SYSTEM_BUS_ADDRESS: address }));
  await watched.until(({ metered }) => metered === false);
  for (const [value, metered] of [
    [1, true],
    [0, null],
    [3, true],
  ] as const) {
    const told = watched.next((change) => change.metered === metered);
    manager.properties.set(`${path} Metered`, { signature: 'u', value });
    manager.emit({
      ...changed(path),
      values: ['org.freedesktop.NetworkManager', { Metered: { signature: 'u', value } }, []],
    });
    await told;
  }
});

test('a bus address is read in its order, abstract sockets and escapes included', () => {
  expect(busSockets('unix:path=/run/user/1000/bus,guid=1f')).toEqual(['/run/user/1000/bus']);
  expect(busSockets('tcp:host=localhost,port=1;unix:abstract=/tmp/dbus%2dx')).toEqual(['\0/tmp/dbus-x']);
  expect(busSockets('')).toEqual([]);
});

test('a bus that does not let us in is said by what it answers', async () => {
  await expect(connectBus('unix:path=/no/such/bus', () => undefined)).rejects.toThrow('ENOENT');
  await expect(connectBus('autolaunch:', () => undefined)).rejects.toThrow('no socket');
});

/** A D-Bus type with values that fit it. */
const typed: fc.Arbitrary<{ signature: string; value: Writable }> = fc.letrec((tie) => ({
  any: fc.oneof({ depthSize: 'small' }, tie('basic'), tie('array'), tie('struct'), tie('dictionary'), tie('variant')),
  basic: fc.oneof(
    fc.nat(255).map((value) => ({ signature: 'y', value })),
    fc.integer({ min: -32_768, max: 32_767 }).map((value) => ({ signature: 'n', value })),
    fc.integer().map((value) => ({ signature: 'i', value })),
    fc.nat(0xffff_ffff).map((value) => ({ signature: 'u', value })),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => ({ signature: 't', value })),
    fc.double({ noNaN: true }).map((value) => ({ signature: 'd', value })),
    fc.boolean().map((value) => ({ signature: 'b', value })),
    fc.string({ unit: 'grapheme', maxLength: 20 }).map((value) => ({ signature: 's', value })),
  ),
  array: fc.array(fc.nat(0xffff), { maxLength: 5 }).map((value) => ({ signature: 'aq', value })),
  struct: fc.array(tie('any') as fc.Arbitrary<{ signature: string; value: Writable }>, { minLength: 1, maxLength: 3 }).map((fields) => ({
    signature: `(${fields.map((field) => field.signature).join('')})`,
    value: fields.map((field) => field.value),
  })),
  dictionary: fc
    .dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.integer(), { maxKeys: 3 })
    .map((value) => ({ signature: 'a{si}', value })),
  variant: (tie('any') as fc.Arbitrary<{ signature: string; value: Writable }>).map((inner) => ({ signature: 'v', value: inner })),
})).any as fc.Arbitrary<{ signature: string; value: Writable }>;

/** What is read of a value: a variant is what is in it. */
function plain(value: Writable): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object') return value;
  if (typeof value.signature === 'string' && Object.keys(value).length === 2) return plain((value as { value: Writable }).value);
  return { ...value };
}

test('what is written is read again, whatever its type', () => {
  fc.assert(
    fc.property(typed, ({ signature, value }) => {
      const writer = new Writer();
      writer.all(signature, [value]);
      expect(new Reader(writer.bytes()).all(signature)).toEqual([plain(value)]);
      const sent = encodeMessage({
        kind: KIND.signal,
        flags: 1,
        serial: 7,
        path: '/a',
        interface: 'b.c',
        member: 'D',
        signature,
        body: [value],
      });
      const read = decodeMessage(sent);
      expect(read?.length).toBe(sent.byteLength);
      expect(read?.message).toMatchObject({ kind: KIND.signal, serial: 7, path: '/a', interface: 'b.c', member: 'D', signature });
    }),
  );
});

test('bytes that no bus sends are refused or waited for, never run past', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, plausible) => {
      const all = Buffer.from(bytes);
      if (plausible && all.byteLength > 16) {
        all.writeUInt8(0x6c, 0);
        all.writeUInt32LE(all.readUInt32LE(4) % 64, 4);
        all.writeUInt32LE(all.readUInt32LE(12) % 128, 12);
      }
      try {
        decodeMessage(all);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
  expect(() => parseSignature('a{s')).toThrow();
  expect(() => parseSignature('('.repeat(100))).toThrow();
});
