import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { readPieces } from '../read-pieces.ts';
import { type DisplayAddress, displaySocket, findCookie } from './address.ts';
import { decodeMessage, decodeSetup, encodeSetup, type Message, type Setup } from './messages.ts';

const CONNECT_MS = 5000;

/** A connection to an X server of this machine, on which little is asked and events are waited for. */
export interface XConnection extends Setup {
  /** Asks, and resolves with the answer's bytes; null where the server answers with an error, as for a window that is gone. */
  ask(request: Buffer): Promise<Buffer | null>;
  /** Sends a request that has no answer. */
  send(request: Buffer): void;
  /** Resolves, with why, when the connection is over, by itself or by `close`. */
  closed: Promise<string>;
  close(): void;
}

/**
 * Connects to an X server.
 * @param onEvent an event's code and its bytes
 * @throws with the reason where nobody listens, or who listens refuses
 */
export async function connectX(
  address: DisplayAddress,
  env: Record<string, string | undefined>,
  onEvent: (code: number, body: Buffer) => void,
): Promise<XConnection> {
  const authority = await readFile(env.XAUTHORITY ?? join(homedir(), '.Xauthority')).catch(() => Buffer.alloc(0));
  const socket = connect({ path: displaySocket(address) });
  const opened = Promise.withResolvers<Setup>();
  const over = Promise.withResolvers<string>();
  const waiting = new Map<number, (body: Buffer | null) => void>();
  let ready = false;
  let sequence = 0;

  const end = (why: string): void => {
    clearTimeout(timer);
    socket.destroy();
    opened.reject(new Error(why));
    over.resolve(why);
    for (const resolve of waiting.values()) resolve(null);
    waiting.clear();
  };
  const timer = setTimeout(() => end('the X server did not answer'), CONNECT_MS);

  const take = (message: Message): void => {
    if (message.type === 'event') {
      onEvent(message.code, message.body);
      return;
    }
    const resolve = waiting.get(message.sequence);
    waiting.delete(message.sequence);
    resolve?.(message.type === 'reply' ? message.body : null);
  };
  const next = (received: Buffer): number | null => {
    if (ready) {
      const first = decodeMessage(received);
      if (first !== null) take(first.message);
      return first?.length ?? null;
    }
    const first = decodeSetup(received, address.screen);
    if (first === null) return null;
    ready = true;
    clearTimeout(timer);
    opened.resolve(first.setup);
    return first.length;
  };
  readPieces(socket, next, end, 'the X server is gone');
  socket.write(encodeSetup(findCookie(authority, hostname(), address)));

  const setup = await opened.promise;
  const send = (request: Buffer): void => {
    // Answers carry 16 bits of the number of their request.
    sequence = (sequence + 1) & 0xffff;
    socket.write(request);
  };
  return {
    ...setup,
    send,
    ask(request) {
      if (socket.destroyed) return Promise.resolve(null);
      const { promise, resolve } = Promise.withResolvers<Buffer | null>();
      send(request);
      waiting.set(sequence, resolve);
      return promise;
    },
    closed: over.promise,
    close: () => end('closed'),
  };
}
