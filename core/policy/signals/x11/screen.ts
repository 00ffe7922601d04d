import type { XConnection } from './connection.ts';
import { decode, EVENT, getProperty, internAtom, queryExtension, sync, watchProperties } from './messages.ts';

/**
 * The alarm goes off at the first input after so much rest. Well below any time after which a user counts as away, and long enough that typing
 * doesn't set it off at every key.
 */
const REST_MS = 1000;
const ALARM_NOTIFY = 1;
/** _NET_WM_STATE has a dozen values at most. */
const MAX_STATES = 64;
const MAX_CLASS_LONGS = 128;

/** The window in front. */
interface Front {
  fullScreen: boolean;
  /** Of its program, as it says itself. */
  pid: number | null;
  /** The second word of its WM_CLASS, which is the program's name for people. */
  className: string | null;
}

/** An X server's screen, as far as somebody at it is concerned. */
export interface XScreen {
  /** Since the last input. Null where the server doesn't answer. */
  idleMs(): Promise<number | null>;
  /** Null where no window manager tells, or nothing is in front. */
  front(): Promise<Front | null>;
  /** To be called with each event. Tells what has happened; null: nothing that matters. */
  heard(code: number, body: Buffer): 'active' | 'front' | null;
}

/**
 * Learns what is needed to ask a server, and orders its events.
 * @throws where the server doesn't count idle time
 */
export async function openScreen(x: XConnection): Promise<XScreen> {
  const ask = async <T>(request: Buffer, read: (body: Buffer) => T): Promise<T | null> => {
    const body = await x.ask(request);
    return body === null ? null : read(body);
  };
  const extension = await ask(queryExtension('SYNC'), decode.extension);
  if (!extension?.present) throw new Error('the X server has no SYNC extension');
  const { major, firstEvent } = extension;
  await x.ask(sync.initialize(major));
  const counters = await ask(sync.listSystemCounters(major), decode.systemCounters);
  const idleTime = counters?.get('IDLETIME');
  if (idleTime === undefined) throw new Error('the X server does not count idle time');
  x.send(sync.createAlarm(major, x.resourceBase, idleTime, REST_MS));

  const atom = async (name: string): Promise<number> => (await ask(internAtom(name), decode.atom)) ?? 0;
  const activeWindow = await atom('_NET_ACTIVE_WINDOW');
  const state = await atom('_NET_WM_STATE');
  const fullScreen = await atom('_NET_WM_STATE_FULLSCREEN');
  const processId = await atom('_NET_WM_PID');
  const windowClass = await atom('WM_CLASS');
  x.send(watchProperties(x.root));
  const read = (window: number, property: number, longs: number) => ask(getProperty(window, property, longs), decode.property);
  let watched = x.root;

  return {
    idleMs: () => ask(sync.queryCounter(major, idleTime), decode.counter),
    async front() {
      const window = (await read(x.root, activeWindow, 1))?.[0] ?? 0;
      if (window === 0) return null;
      if (window !== watched) x.send(watchProperties(window));
      watched = window;
      const states = await read(window, state, MAX_STATES);
      const className = await ask(getProperty(window, windowClass, MAX_CLASS_LONGS), decode.text);
      return {
        fullScreen: states?.includes(fullScreen) ?? false,
        pid: (await read(window, processId, 1))?.[0] ?? null,
        className: className?.split('\0')[1] || null,
      };
    },
    heard(code, body) {
      if (code === firstEvent + ALARM_NOTIFY) return 'active';
      if (code !== EVENT.propertyNotify) return null;
      const { window, atom: changed } = decode.propertyNotify(body);
      return (window === x.root && changed === activeWindow) || (window === watched && changed === state) ? 'front' : null;
    },
  };
}
