import type { SignalContext } from '../../../contract/policy.ts';
import type { WaylandConnection } from './connection.ts';
import { readString, readWords } from './messages.ts';

const MAX_TOPLEVELS = 4096;
const TELL_MS = 20_000;
/** Source: wlr-foreign-toplevel-management-unstable-v1.xml; `fullscreen` since version 2. */
const VERSION = 2;
const STATE = { activated: 2, fullScreen: 3 } as const;
const EVENT = { title: 0, appId: 1, state: 4, closed: 6 } as const;
const DESTROY = 7;

interface Toplevel {
  title: string;
  appId: string;
  states: number[];
}

/** Tells which program fills the screen in front, where the compositor tells of windows. Returns the way to stop; null where it doesn't. */
export function watchToplevels(connection: WaylandConnection, { publish }: SignalContext): (() => void) | null {
  const toplevels = new Map<number, Toplevel>();
  const tell = (): void => {
    const front = [...toplevels.values()].find(({ states }) => states.includes(STATE.activated) && states.includes(STATE.fullScreen));
    const name = front?.appId || front?.title;
    publish({ fullScreen: name ? { name: name.slice(0, 260) } : null });
  };
  const manager = connection.bind('zwlr_foreign_toplevel_manager_v1', VERSION, (opcode, body) => {
    if (opcode !== 0 || toplevels.size >= MAX_TOPLEVELS) return;
    const id = body.readUInt32LE(0);
    const toplevel: Toplevel = { title: '', appId: '', states: [] };
    toplevels.set(id, toplevel);
    connection.listen(id, (event, told) => {
      if (event === EVENT.title) toplevel.title = readString(told, 0).text;
      if (event === EVENT.appId) toplevel.appId = readString(told, 0).text;
      if (event === EVENT.state) toplevel.states = readWords(told, 0);
      if (event === EVENT.closed) {
        toplevels.delete(id);
        connection.send(id, DESTROY);
      }
      if (event === EVENT.state || event === EVENT.closed) tell();
    });
  });
  if (manager === null) return null;
  const timer = setInterval(() => connection.sync(tell), TELL_MS);
  return () => clearInterval(timer);
}
