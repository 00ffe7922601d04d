import type { SignalContext, SignalSource } from '../../../contract/policy.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { parseDisplay } from './address.ts';
import { connectX, type XConnection } from './connection.ts';
import { openScreen } from './screen.ts';

/** Between two questions for idle time. The user's return is an event; this is how exactly their leaving is known. */
const ASK_MS = 2000;

export interface X11Ports {
  env: Record<string, string | undefined>;
  /** A running program by its process id; null where that isn't known. */
  programOf(pid: number): { name: string; ours: boolean } | null;
}

/**
 * The user at an X11 desktop: the time since their last input, and the program that fills the screen. Null where there is no such desktop: an
 * X server inside a Wayland session sees no more than its own windows' input.
 */
export function x11Source({ env, programOf }: X11Ports): SignalSource | null {
  const address = parseDisplay(env.DISPLAY ?? '');
  if (address === null || isWayland(env)) return null;
  const open = async (context: SignalContext): Promise<Watching> => {
    let heard: (code: number, body: Buffer) => void = () => undefined;
    const x = await connectX(address, env, (code, body) => heard(code, body));
    try {
      const timer = await watch(x, context, programOf, (listener) => {
        heard = listener;
      });
      return {
        closed: x.closed,
        close() {
          clearInterval(timer);
          x.close();
        },
      };
    } catch (error) {
      x.close();
      throw error;
    }
  };
  return {
    name: 'x11',
    start: (context) => keepUp({ name: 'X11', unknown: { idleMs: null, fullScreen: null } }, context, () => open(context)),
  };
}

async function watch(
  x: XConnection,
  context: SignalContext,
  programOf: X11Ports['programOf'],
  listen: (listener: (code: number, body: Buffer) => void) => void,
): Promise<NodeJS.Timeout> {
  const screen = await openScreen(x);
  const failed = (error: Error): void => context.log('debug', 'X11', { why: error.message });
  const tellIdle = oneAtATime(async () => {
    const idleMs = await screen.idleMs();
    context.publish({ idleMs: idleMs === null || idleMs < 0 ? null : idleMs });
  }, failed);
  const tellFront = oneAtATime(async () => {
    const front = await screen.front();
    const program = front?.pid == null ? null : programOf(front.pid);
    const name = program?.name ?? front?.className ?? null;
    context.publish({ fullScreen: front?.fullScreen && name !== null && !program?.ours ? { name } : null });
  }, failed);
  listen((code, body) => {
    const what = screen.heard(code, body);
    if (what === 'active') context.publish({ idleMs: 0 });
    if (what === 'front') tellFront();
  });
  const tell = (): void => {
    tellIdle();
    tellFront();
  };
  tell();
  return setInterval(tell, ASK_MS);
}

function isWayland(env: Record<string, string | undefined>): boolean {
  return env.XDG_SESSION_TYPE === 'wayland' || (env.WAYLAND_DISPLAY ?? '') !== '';
}
