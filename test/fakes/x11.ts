import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connectX, type XConnection } from '../../core/policy/signals/x11/connection.ts';
import { decode, encodeRequest, internAtom, queryExtension, words } from '../../core/policy/signals/x11/messages.ts';
import { programExists } from '../../scripts/setup.mjs';

/** Why X11 can't be tried here; null where it can. */
export const noXvfb: string | null = programExists(['Xvfb']) ? null : 'Xvfb is not installed';

/** A real X server without a screen, and somebody at it whose input comes in by the XTEST extension as a mouse's does. */
export interface Desk {
  /** What DISPLAY says there. */
  display: string;
  moveMouse(): void;
  /** Makes a window, and says of it what a window manager would. */
  openWindow(facts: { pid: number; fullScreen: boolean }): Promise<{ front(): void; setFullScreen(full: boolean): void }>;
  /** The server dies. */
  kill(): Promise<void>;
}

const ATOM = 4;
const CARDINAL = 6;
const WINDOW = 33;
const MOTION = 6;

export async function openDesk(): Promise<Desk> {
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '640x480x24', '-nolisten', 'tcp', '-noreset'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const [number] = (await once(server.stdio[3] as NodeJS.ReadableStream, 'data')) as [Buffer];
  const display = Number(String(number).trim());
  const x = await connectX({ display, screen: 0 }, process.env, () => undefined);
  const atom = async (name: string): Promise<number> => decode.atom((await x.ask(internAtom(name))) as Buffer);
  const test = decode.extension((await x.ask(queryExtension('XTEST'))) as Buffer);
  const [active, state, full, processId] = [
    await atom('_NET_ACTIVE_WINDOW'),
    await atom('_NET_WM_STATE'),
    await atom('_NET_WM_STATE_FULLSCREEN'),
    await atom('_NET_WM_PID'),
  ];
  const setProperty = (window: number, property: number, type: number, ...values: number[]): void =>
    x.send(encodeRequest(18, 0, Buffer.concat([words(window, property, type, 32, values.length), words(...values)])));
  let windows = 0;
  let position = 0;
  return {
    display: `:${display}`,
    moveMouse() {
      const event = Buffer.alloc(32);
      event.writeUInt8(MOTION, 0);
      position = (position + 7) % 300;
      event.writeInt16LE(position, 20);
      event.writeInt16LE(position, 22);
      x.send(encodeRequest(test.major, 2, event));
    },
    async openWindow({ pid, fullScreen }) {
      windows += 1;
      const window = x.resourceBase + windows;
      const geometry = Buffer.alloc(12);
      geometry.writeUInt16LE(640, 4);
      geometry.writeUInt16LE(480, 6);
      geometry.writeUInt16LE(1, 10);
      // Class and visual of its parent; no attributes.
      x.send(encodeRequest(1, 0, Buffer.concat([words(window, x.root), geometry, words(0, 0)])));
      setProperty(window, processId, CARDINAL, pid);
      const setFullScreen = (wanted: boolean): void => setProperty(window, state, ATOM, ...(wanted ? [full] : []));
      setFullScreen(fullScreen);
      return { front: () => setProperty(x.root, active, WINDOW, window), setFullScreen };
    },
    kill: () => end(server, x),
  };
}

async function end(server: ChildProcess, x: XConnection): Promise<void> {
  x.close();
  if (server.exitCode !== null || server.signalCode !== null) return;
  const gone = once(server, 'exit');
  server.kill();
  await gone;
}
