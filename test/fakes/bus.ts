import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { onTestFinished } from 'vitest';
import { busSockets } from '../../core/policy/signals/dbus/connection.ts';
import { decodeMessage, encodeMessage, KIND, type Outgoing } from '../../core/policy/signals/dbus/messages.ts';
import type { Value, Variant, Writable } from '../../core/policy/signals/dbus/values.ts';
import { programExists } from '../../scripts/setup.mjs';

/** Why D-Bus can't be tried here; null where it can. */
export const noBus: string | null = programExists(['dbus-daemon']) ? null : 'dbus-daemon is not installed';

/** A real message bus for one test. */
export async function openBus(): Promise<{ address: string; die(): Promise<void> }> {
  const daemon = spawn('dbus-daemon', ['--session', '--nofork', '--nopidfile', '--print-address=1'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [address] = (await once(daemon.stdout, 'data')) as [Buffer];
  const die = async (): Promise<void> => {
    if (daemon.exitCode !== null || daemon.signalCode !== null) return;
    const gone = once(daemon, 'exit');
    daemon.kill();
    await gone;
  };
  onTestFinished(die);
  return { address: String(address).trim(), die };
}

type Answer = { signature: string; values: Writable[] } | null;

/** Somebody who offers a service on a bus. */
export interface Service {
  /** Properties by object path and name. */
  properties: Map<string, Variant>;
  /** Asked for what is no property; null: refused. */
  onCall: (path: string, member: string, args: Value[]) => Answer;
  emit(signal: { path: string; interface: string; member: string; signature: string; values: Writable[] }): void;
}

export async function openService(address: string, name: string): Promise<Service> {
  const socket = connect({ path: busSockets(address)[0] as string });
  let serial = 0;
  const send = (message: Omit<Outgoing, 'serial' | 'flags'>): void => {
    serial += 1;
    socket.write(encodeMessage({ flags: 1, serial, ...message }));
  };
  const service: Service = {
    properties: new Map(),
    onCall: () => null,
    emit: ({ path, interface: of, member, signature, values }) =>
      send({ kind: KIND.signal, path, interface: of, member, signature, body: values }),
  };
  const named = Promise.withResolvers<void>();
  let received: Buffer = Buffer.alloc(0);
  let greeted = false;
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (!greeted) {
      greeted = true;
      received = Buffer.alloc(0);
      socket.write('BEGIN\r\n');
      const bus = {
        kind: KIND.call,
        destination: 'org.freedesktop.DBus',
        path: '/org/freedesktop/DBus',
        interface: 'org.freedesktop.DBus',
      };
      serial += 1;
      socket.write(encodeMessage({ ...bus, flags: 0, serial, member: 'Hello', body: [] }));
      serial += 1;
      socket.write(encodeMessage({ ...bus, flags: 0, serial, member: 'RequestName', signature: 'su', body: [name, 0] }));
      return;
    }
    for (let next = decodeMessage(received); next !== null; next = decodeMessage(received)) {
      received = received.subarray(next.length);
      const { message } = next;
      if (message.kind === KIND.reply && message.replySerial === 2) named.resolve();
      if (message.kind !== KIND.call) continue;
      const { path = '', member = '', body } = message;
      const property = service.properties.get(`${path} ${body[1]}`);
      const found: Answer =
        member === 'Get' ? (property ? { signature: 'v', values: [property] } : null) : service.onCall(path, member, body);
      const to = { replySerial: message.serial, ...(message.sender === undefined ? {} : { destination: message.sender }) };
      if (found === null) send({ kind: KIND.error, errorName: 'org.freedesktop.DBus.Error.UnknownProperty', ...to, body: [] });
      else send({ kind: KIND.reply, ...to, signature: found.signature, body: found.values });
    }
  });
  socket.on('error', () => undefined); // the bus has died
  socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid?.() ?? 0)).toString('hex')}\r\n`);
  onTestFinished(() => void socket.destroy());
  await named.promise;
  return service;
}
