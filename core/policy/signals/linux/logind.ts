import type { SignalContext, SignalSource } from '../../../contract/policy.ts';
import { askingAgain } from '../dbus/asking-again.ts';
import { type Bus, connectBus, SYSTEM_BUS } from '../dbus/connection.ts';
import type { Value } from '../dbus/values.ts';
import { keepUp, type Watching } from '../keep-up.ts';
import { oneAtATime } from '../one-at-a-time.ts';

const REPEAT_MS = 20_000;
const DESTINATION = 'org.freedesktop.login1';
const SESSION = 'org.freedesktop.login1.Session';
const manager = { destination: DESTINATION, path: '/org/freedesktop/login1', interface: 'org.freedesktop.login1.Manager' };

/** What logind tells of a session; null: not told. */
export interface SessionFacts {
  class: Value | null;
  locked: Value | null;
  idle: Value | null;
  /** Microseconds since 1970; 0: never. */
  idleSince: Value | null;
}

/**
 * What a session says of its user. That it isn't idle tells nothing: most desktops tell logind late, and some never. A login screen in front
 * is as good as a lock.
 * @param now ms since 1970
 */
export function judgeSession(facts: SessionFacts, now: number): { sessionLocked: boolean | null; idleMs: number | null } {
  const sessionLocked =
    facts.class === 'greeter' || facts.class === 'lock-screen' ? true : typeof facts.locked === 'boolean' ? facts.locked : null;
  const sinceMs = typeof facts.idleSince === 'bigint' ? Number(facts.idleSince / 1000n) : 0;
  const idleMs = facts.idle === true && sinceMs > 0 && sinceMs <= now ? now - sinceMs : null;
  return { sessionLocked, idleMs };
}

/** The session in front of the machine, by logind: locked, idle where it says so; and the machine's sleep. */
export function logindSource(env: Record<string, string | undefined>): SignalSource {
  return {
    name: 'logind',
    start: (context) => keepUp({ name: 'logind', unknown: { sessionLocked: null, idleMs: null } }, context, () => open(env, context)),
  };
}

async function open(env: Record<string, string | undefined>, context: SignalContext): Promise<Watching> {
  let tell: () => void = () => undefined;
  const bus = await connectBus(env.DBUS_SYSTEM_BUS_ADDRESS ?? SYSTEM_BUS, ({ interface: of, member, body }) => {
    if (of === manager.interface && member === 'PrepareForSleep' && typeof body[0] === 'boolean') context.sleep(body[0]);
    tell();
  });
  tell = oneAtATime(
    async () => {
      const path = await findSession(bus);
      if (path === null) {
        context.publish({ sessionLocked: null, idleMs: null });
        return;
      }
      const of = { destination: DESTINATION, path, interface: SESSION };
      const facts: SessionFacts = {
        class: await bus.property(of, 'Class'),
        locked: await bus.property(of, 'LockedHint'),
        idle: await bus.property(of, 'IdleHint'),
        idleSince: await bus.property(of, 'IdleSinceHint'),
      };
      context.publish(judgeSession(facts, context.clock()));
    },
    (error) => context.log('debug', 'logind', { why: error.message }),
  );
  if ((await bus.property(manager, 'PreparingForSleep')) === null) {
    bus.close();
    throw new Error('logind does not answer');
  }
  await bus.match(`type='signal',sender='${DESTINATION}',interface='${manager.interface}'`);
  await bus.match(`type='signal',sender='${DESTINATION}',interface='org.freedesktop.DBus.Properties'`);
  return askingAgain(bus, tell, REPEAT_MS);
}

/** The session on the seat's screen, whoever's it is; else the graphical one of the user whom we run as. */
async function findSession(bus: Bus): Promise<string | null> {
  const seat = { destination: DESTINATION, path: '/org/freedesktop/login1/seat/seat0', interface: 'org.freedesktop.login1.Seat' };
  const user = { destination: DESTINATION, path: '/org/freedesktop/login1/user/self', interface: 'org.freedesktop.login1.User' };
  for (const named of [await bus.property(seat, 'ActiveSession'), await bus.property(user, 'Display')]) {
    const path = Array.isArray(named) ? named[1] : null;
    if (typeof path === 'string' && path !== '/') return path;
  }
  return null;
}
