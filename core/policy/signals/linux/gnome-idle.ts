import type { SignalContext, SignalSource } from '../../../contract/policy.ts';
import { askingAgain } from '../dbus/asking-again.ts';
import { connectBus } from '../dbus/connection.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { oneAtATime } from '../one-at-a-time.ts';

/** A watch goes off at so much rest, and another at the first input after it. */
const IDLE_MS = 1000;
const ASK_MS = 2000;
const monitor = {
  destination: 'org.gnome.Mutter.IdleMonitor',
  path: '/org/gnome/Mutter/IdleMonitor/Core',
  interface: 'org.gnome.Mutter.IdleMonitor',
};

/** Idle time by GNOME's compositor, which tells Wayland clients nothing of it. Null where there is no session bus. */
export function gnomeIdleSource(env: Record<string, string | undefined>): SignalSource | null {
  const runtime = env.XDG_RUNTIME_DIR ?? '';
  const address = env.DBUS_SESSION_BUS_ADDRESS ?? (runtime === '' ? '' : `unix:path=${runtime}/bus`);
  if (address === '' || !/gnome|unity|budgie/i.test(env.XDG_CURRENT_DESKTOP ?? '')) return null;
  return {
    name: 'gnome-idle',
    start: (context) => keepUp({ name: "GNOME's idle time", unknown: { idleMs: null } }, context, () => open(address, context)),
  };
}

async function open(address: string, context: SignalContext): Promise<Watching> {
  /** The watch that waits for input; it goes off once, and is set again at the next rest. */
  let activeWatch: unknown = null;
  const fired = (watch: unknown): void => {
    if (watch !== activeWatch) {
      awaitInput();
      return;
    }
    activeWatch = null;
    context.publish({ idleMs: 0 });
  };
  const bus = await connectBus(address, ({ member, body }) => {
    // A watch's number may have come with the very bytes before these, and be taken in only now.
    if (member === 'WatchFired') setImmediate(() => fired(body[0]));
  });
  const awaitInput = oneAtATime(
    async () => {
      activeWatch ??= (await bus.call({ ...monitor, member: 'AddUserActiveWatch' }))?.[0] ?? null;
    },
    () => undefined,
  );
  const tell = oneAtATime(
    async () => {
      const idleMs = (await bus.call({ ...monitor, member: 'GetIdletime' }))?.[0];
      context.publish({ idleMs: typeof idleMs === 'bigint' ? Number(idleMs) : null });
    },
    () => undefined,
  );
  await bus.match(`type='signal',sender='${monitor.destination}',interface='${monitor.interface}'`);
  if ((await bus.call({ ...monitor, member: 'AddIdleWatch', signature: 't', args: [IDLE_MS] })) === null) {
    bus.close();
    throw new Error('GNOME does not tell idle time');
  }
  return askingAgain(bus, tell, ASK_MS);
}
