import { connect } from 'node:net';
import { readPieces } from '../read-pieces.ts';
import { decodeMessage, encodeMessage, KIND, type Message, NO_AUTO_START } from './messages.ts';
import type { Value, Writable } from './values.ts';

const CONNECT_MS = 5000;
const ANSWER_MS = 5000;
const MAX_GREETING_BYTES = 4096;
const DAEMON = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };

export const SYSTEM_BUS = 'unix:path=/run/dbus/system_bus_socket';

interface Call {
  destination: string;
  path: string;
  interface: string;
  member: string;
  /** Of `args`; none by default. */
  signature?: string;
  args?: Writable[];
}

/** A connection to a D-Bus message bus: calls, and the signals that were asked for. */
export interface Bus {
  /** Resolves with the answer's values; null where whoever is called isn't there, refuses, or takes too long. */
  call(call: Call): Promise<Value[] | null>;
  /** A property's value; null where it can't be read. */
  property(of: Omit<Call, 'member' | 'signature' | 'args'>, name: string): Promise<Value | null>;
  /** Asks for the signals that a match rule describes. */
  match(rule: string): Promise<void>;
  /** Resolves, with why, when the connection is over, by itself or by `close`. */
  closed: Promise<string>;
  close(): void;
}

/**
 * Socket paths of a bus address such as `unix:path=/run/user/1000/bus,guid=…;unix:abstract=/tmp/dbus`, in its order; abstract ones as Node
 * writes them. Transports that leave this machine are left out.
 */
export function busSockets(address: string): string[] {
  return address.split(';').flatMap((entry) => {
    if (!entry.startsWith('unix:')) return [];
    const pairs = entry
      .slice(5)
      .split(',')
      .map((pair) => pair.split('=', 2) as [string, string | undefined]);
    return pairs.flatMap(([key, value]) => {
      const path = (value ?? '').replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
      if (key === 'path' && path !== '') return [path];
      return key === 'abstract' && path !== '' ? [`\0${path}`] : [];
    });
  });
}

/** Connects to the first of a bus address's sockets that answers, and says hello. @throws with the reason where none does */
export async function connectBus(address: string, onSignal: (signal: Message) => void): Promise<Bus> {
  let why: unknown = new Error(`no socket in the bus address ${address}`);
  for (const path of busSockets(address)) {
    try {
      return await connectSocket(path, onSignal);
    } catch (error) {
      why = error;
    }
  }
  throw why;
}

async function connectSocket(path: string, onSignal: (signal: Message) => void): Promise<Bus> {
  const socket = connect({ path });
  const greeted = Promise.withResolvers<void>();
  const over = Promise.withResolvers<string>();
  const waiting = new Map<number, (body: Value[] | null) => void>();
  let ready = false;
  let serial = 0;

  const end = (why: string): void => {
    clearTimeout(timer);
    socket.destroy();
    greeted.reject(new Error(why));
    over.resolve(why);
    for (const resolve of waiting.values()) resolve(null);
    waiting.clear();
  };
  const timer = setTimeout(() => end('the bus did not answer'), CONNECT_MS);

  const greet = (received: Buffer): number | null => {
    const end = received.indexOf('\r\n');
    if (end === -1) {
      if (received.byteLength > MAX_GREETING_BYTES) throw new Error('the bus does not greet');
      return null;
    }
    const line = received.subarray(0, end).toString('latin1');
    if (!line.startsWith('OK ')) throw new Error(`the bus refuses: ${line.slice(0, 100)}`);
    ready = true;
    clearTimeout(timer);
    socket.write('BEGIN\r\n');
    greeted.resolve();
    return end + 2;
  };
  const take = (message: Message): void => {
    if (message.kind === KIND.signal) {
      onSignal(message);
      return;
    }
    if (message.replySerial === undefined) return;
    const resolve = waiting.get(message.replySerial);
    waiting.delete(message.replySerial);
    resolve?.(message.kind === KIND.reply ? message.body : null);
  };
  const next = (received: Buffer): number | null => {
    if (!ready) return greet(received);
    const first = decodeMessage(received);
    if (first !== null) take(first.message);
    return first?.length ?? null;
  };
  readPieces(socket, next, end, 'the bus is gone');
  // The first byte carries our credentials on some systems, and must be there on all.
  const uid = Buffer.from(String(process.getuid?.() ?? 0), 'latin1').toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);

  const call: Bus['call'] = ({ destination, path: object, interface: of, member, signature, args = [] }) => {
    if (socket.destroyed) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<Value[] | null>();
    serial += 1;
    const number = serial;
    const late = setTimeout(() => {
      waiting.delete(number);
      resolve(null);
    }, ANSWER_MS);
    late.unref();
    waiting.set(number, (body) => {
      clearTimeout(late);
      resolve(body);
    });
    const typed = signature === undefined ? {} : { signature };
    const head = { kind: KIND.call, flags: NO_AUTO_START, serial: number, destination, path: object, interface: of, member };
    socket.write(encodeMessage({ ...head, ...typed, body: args }));
    return promise;
  };

  await greeted.promise;
  if ((await call({ ...DAEMON, member: 'Hello' })) === null) {
    end('the bus does not answer to hello');
    throw new Error('the bus does not answer to hello');
  }
  return {
    call,
    async property(of, name) {
      const asked = { ...of, interface: 'org.freedesktop.DBus.Properties', member: 'Get', signature: 'ss', args: [of.interface, name] };
      return (await call(asked))?.[0] ?? null;
    },
    async match(rule) {
      await call({ ...DAEMON, member: 'AddMatch', signature: 's', args: [rule] });
    },
    closed: over.promise,
    close: () => end('closed'),
  };
}
