import type { SignalContext, SignalSource } from '../../../contract/policy.ts';
import { askingAgain } from '../dbus/asking-again.ts';
import { connectBus, SYSTEM_BUS } from '../dbus/connection.ts';
import type { Value } from '../dbus/values.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { oneAtATime } from '../one-at-a-time.ts';

const REPEAT_MS = 20_000;
const manager = {
  destination: 'org.freedesktop.NetworkManager',
  path: '/org/freedesktop/NetworkManager',
  interface: 'org.freedesktop.NetworkManager',
};

/** NetworkManager's NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no. A guess is what it would act on itself. */
function meteredFrom(value: Value | null): boolean | null {
  if (value === 1 || value === 3) return true;
  return value === 2 || value === 4 ? false : null;
}

/** Whether the network is paid for by what is sent, by NetworkManager. */
export function meteredSource(env: Record<string, string | undefined>): SignalSource {
  return {
    name: 'network-manager',
    start: (context) => keepUp({ name: 'NetworkManager', unknown: { metered: null } }, context, () => open(env, context)),
  };
}

async function open(env: Record<string, string | undefined>, context: SignalContext): Promise<Watching> {
  let tell: () => void = () => undefined;
  const bus = await connectBus(env.DBUS_SYSTEM_BUS_ADDRESS ?? SYSTEM_BUS, () => tell());
  tell = oneAtATime(
    async () => context.publish({ metered: meteredFrom(await bus.property(manager, 'Metered')) }),
    (error) => context.log('debug', 'NetworkManager', { why: error.message }),
  );
  if ((await bus.property(manager, 'Version')) === null) {
    bus.close();
    throw new Error('NetworkManager does not answer');
  }
  const rule = `type='signal',sender='${manager.destination}',path='${manager.path}',interface='org.freedesktop.DBus.Properties'`;
  await bus.match(rule);
  return askingAgain(bus, tell, REPEAT_MS);
}
