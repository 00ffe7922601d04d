import { isAbsolute, join } from 'node:path';
import type { SignalContext, SignalSource } from '../../../contract/policy.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { connectWayland, type WaylandConnection } from './connection.ts';
import { watchToplevels } from './toplevels.ts';

/** Idle from this on, as the compositor is asked to tell it. Well below any time after which a user counts as away. */
const IDLE_MS = 1000;
/** How often it is told again while the user is there, whose last input is not known more exactly than by this. */
const TELL_MS = 2000;

/**
 * The user at a Wayland desktop, where the compositor tells idle clients (ext-idle-notify-v1: KDE from 5.27, wlroots, COSMIC, not GNOME); and
 * what fills the screen, where it tells that (wlr-foreign-toplevel-management). Null where there is no such desktop. What the compositor
 * counts as activity, and inhibits while a film is played, is its own to say.
 */
export function waylandSource(env: Record<string, string | undefined>): SignalSource | null {
  const display = env.WAYLAND_DISPLAY ?? '';
  const path = isAbsolute(display) ? display : join(env.XDG_RUNTIME_DIR ?? '', display);
  if (display === '' || !isAbsolute(path)) return null;
  const unknown = { idleMs: null, fullScreen: null };
  return { name: 'wayland', start: (context) => keepUp({ name: 'Wayland', unknown }, context, () => open(path, context)) };
}

async function open(path: string, context: SignalContext): Promise<Watching> {
  const connection = await connectWayland(path);
  const stopIdle = watchIdle(connection, context);
  const stopFront = watchToplevels(connection, context);
  if (stopIdle === null && stopFront === null) {
    connection.close();
    throw new Error('the compositor tells neither idle time nor what is in front');
  }
  return {
    closed: connection.closed,
    close() {
      stopIdle?.();
      stopFront?.();
      connection.close();
    },
  };
}

function watchIdle(connection: WaylandConnection, { publish }: SignalContext): (() => void) | null {
  const silent = (): void => undefined;
  const seat = connection.bind('wl_seat', 1, silent);
  const notifier = connection.bind('ext_idle_notifier_v1', 1, silent);
  if (seat === null || notifier === null) return null;
  let idleSince: number | null = null;
  const idleMs = () => (idleSince === null ? 0 : performance.now() - idleSince);
  const notification = connection.make((opcode) => {
    idleSince = opcode === 0 ? performance.now() - IDLE_MS : null;
    publish({ idleMs: idleMs() });
  });
  connection.send(notifier.id, 1, notification, IDLE_MS, seat.id);
  // Repeated only once the compositor has answered: one that hangs tells nothing.
  const timer = setInterval(() => connection.sync(() => publish({ idleMs: idleMs() })), TELL_MS);
  return () => clearInterval(timer);
}
