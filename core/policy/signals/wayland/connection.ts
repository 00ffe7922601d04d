import { connect } from 'node:net';
import { readPieces } from '../read-pieces.ts';
import { decodeMessage, encodeMessage, readString } from './messages.ts';

const CONNECT_MS = 5000;
const MAX_GLOBALS = 1024;
const DISPLAY = 1;
const REGISTRY = 2;
const FIRST_FREE = 3;
/** Ids from here on are the compositor's to give. */
const FIRST_SERVER_ID = 0xff00_0000;

type Listener = (opcode: number, body: Buffer) => void;

/** A connection to a Wayland compositor that shows nothing: it binds what the compositor offers, and waits for events. */
export interface WaylandConnection {
  /** Binds a global at the version that both know; null where the compositor doesn't offer it. */
  bind(name: string, version: number, listener: Listener): { id: number; version: number } | null;
  /** A new object's id, for a request that makes one. */
  make(listener: Listener): number;
  /** Listens to an object that the compositor has made, as one of its events told. */
  listen(id: number, listener: Listener): void;
  send(object: number, opcode: number, ...args: (number | string)[]): void;
  /** Calls back once the compositor has answered to all that was sent before. */
  sync(answered: () => void): void;
  /** Resolves, with why, when the connection is over, by itself or by `close`. */
  closed: Promise<string>;
  close(): void;
}

/** Connects, and resolves once the compositor has named all that it offers. @throws with the reason where that fails */
export async function connectWayland(path: string): Promise<WaylandConnection> {
  const socket = connect({ path });
  const listed = Promise.withResolvers<void>();
  const over = Promise.withResolvers<string>();
  const globals = new Map<string, { name: number; version: number }>();
  const listeners = new Map<number, Listener>();
  /** Ids that the compositor has given back; it wants them used again before new ones. */
  const freed: number[] = [];
  let nextId = FIRST_FREE;

  const end = (why: string): void => {
    clearTimeout(timer);
    socket.destroy();
    listed.reject(new Error(why));
    over.resolve(why);
  };
  const timer = setTimeout(() => end('the compositor did not answer'), CONNECT_MS);
  const send: WaylandConnection['send'] = (object, opcode, ...args) => {
    if (!socket.destroyed) socket.write(encodeMessage(object, opcode, ...args));
  };
  const make = (listener: Listener): number => {
    const id = freed.pop() ?? nextId;
    if (id === nextId) nextId += 1;
    listeners.set(id, listener);
    return id;
  };

  listeners.set(DISPLAY, (opcode, body) => {
    if (opcode === 0) throw new Error(readString(body, 8).text);
    if (opcode !== 1) return;
    const id = body.readUInt32LE(0);
    if (listeners.delete(id) && id < FIRST_SERVER_ID) freed.push(id);
  });
  listeners.set(REGISTRY, (opcode, body) => {
    const name = body.readUInt32LE(0);
    if (opcode === 0 && globals.size < MAX_GLOBALS) {
      const { text, next } = readString(body, 4);
      if (!globals.has(text)) globals.set(text, { name, version: body.readUInt32LE(next) });
    }
  });
  const next = (received: Buffer): number | null => {
    const first = decodeMessage(received);
    if (first !== null) listeners.get(first.message.object)?.(first.message.opcode, first.message.body);
    return first?.length ?? null;
  };
  readPieces(socket, next, end, 'the compositor is gone');
  send(DISPLAY, 1, REGISTRY);
  // What is sent back on this request comes after all that was said of the registry.
  const sync = (answered: () => void): void => send(DISPLAY, 0, make(answered));
  sync(() => listed.resolve());

  await listed.promise;
  clearTimeout(timer);
  return {
    bind(name, version, listener) {
      const global = globals.get(name);
      if (global === undefined) return null;
      const bound = { id: make(listener), version: Math.min(version, global.version) };
      send(REGISTRY, 0, global.name, name, bound.version, bound.id);
      return bound;
    },
    make,
    listen(id, listener) {
      if (id >= FIRST_SERVER_ID) listeners.set(id, listener);
    },
    send,
    sync,
    closed: over.promise,
    close: () => end('closed'),
  };
}
