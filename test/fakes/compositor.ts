import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { decodeMessage, encodeMessage, readString } from '../../core/policy/signals/wayland/messages.ts';

/** A Wayland compositor without a screen, which offers what it is told to. */
export interface Compositor {
  /** What WAYLAND_DISPLAY says there. */
  display: string;
  /** Idle notifications that were asked for, by their timeout. */
  timeouts: number[];
  idled(): void;
  resumed(): void;
  /** Tells of a window: `states` as the protocol numbers them. */
  window(id: number, facts: { appId?: string; states?: number[]; closed?: boolean }): void;
  send(bytes: Buffer): void;
  /** It crashes. */
  die(): Promise<void>;
}

const FIRST_SERVER_ID = 0xff00_0000;

export async function openCompositor(offers: Record<string, number>): Promise<Compositor> {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-wayland-'));
  const display = join(folder, 'wayland-7');
  const names = Object.keys(offers);
  const timeouts: number[] = [];
  const bound = new Map<string, number>();
  let client: Socket | undefined;
  let notification = 0;
  const windows = new Set<number>();
  const send = (bytes: Buffer): void => void client?.write(bytes);

  const requested = (object: number, opcode: number, body: Buffer): void => {
    if (object === 1 && opcode === 0) {
      const callback = body.readUInt32LE(0);
      send(Buffer.concat([encodeMessage(callback, 0, 0), encodeMessage(1, 1, callback)]));
    } else if (object === 1) {
      for (const [at, name] of names.entries()) send(encodeMessage(body.readUInt32LE(0), 0, at + 1, name, offers[name] ?? 1));
    } else if (object === 2) {
      const { text, next } = readString(body, 4);
      bound.set(text, body.readUInt32LE(next + 4));
    } else if (object === bound.get('ext_idle_notifier_v1') && opcode === 1) {
      notification = body.readUInt32LE(0);
      timeouts.push(body.readUInt32LE(4));
    }
  };
  const server = createServer((socket) => {
    client = socket;
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      for (let next = decodeMessage(received); next !== null; next = decodeMessage(received)) {
        received = received.subarray(next.length);
        requested(next.message.object, next.message.opcode, next.message.body);
      }
    });
    socket.on('error', () => undefined); // who has left
  });
  await new Promise<void>((resolve) => server.listen(display, resolve));
  const die = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      client?.destroy();
    });
  onTestFinished(async () => {
    await die();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    display,
    timeouts,
    idled: () => send(encodeMessage(notification, 0)),
    resumed: () => send(encodeMessage(notification, 1)),
    window(number, { appId, states, closed }) {
      const id = FIRST_SERVER_ID + number;
      if (!windows.has(id)) send(encodeMessage(bound.get('zwlr_foreign_toplevel_manager_v1') ?? 0, 0, id));
      windows.add(id);
      if (appId !== undefined) send(encodeMessage(id, 1, appId));
      if (states !== undefined) send(encodeMessage(id, 4, states.length * 4, ...states));
      if (closed) send(encodeMessage(id, 6));
    },
    send,
    die,
  };
}
