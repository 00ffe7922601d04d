import type { SignalContext, SignalSource } from '../../contract/policy.ts';

const TELL_MS = 2000;
const SECOND_MS = 1000;

/** What a desktop shell is told by its system, such as by Electron's powerMonitor. */
export interface ShellPower {
  /** Calls back when the screen is locked or unlocked, or the power source is another. Returns the way to leave. */
  listen(listener: (event: 'locked' | 'unlocked' | 'battery' | 'mains') => void): () => void;
  /** Whole seconds since the last input; null where the shell can't tell it truly. */
  idleSeconds(): number | null;
  onBattery(): boolean;
  locked(): boolean | null;
}

/** Power, lock and idle time as the desktop shell knows them. The battery's charge it isn't told. */
export function shellPowerSource(shell: ShellPower): SignalSource {
  return {
    name: 'shell',
    start(context: SignalContext) {
      const tell = (): void => {
        const idle = shell.idleSeconds();
        context.publish({
          idleMs: idle === null ? null : idle * SECOND_MS,
          sessionLocked: shell.locked(),
          power: { source: shell.onBattery() ? 'battery' : 'mains', percent: null },
        });
      };
      const leave = shell.listen((event) => {
        if (event === 'locked' || event === 'unlocked') context.publish({ sessionLocked: event === 'locked' });
        else context.publish({ power: { source: event, percent: null } });
      });
      const timer = setInterval(tell, TELL_MS);
      tell();
      return () => {
        clearInterval(timer);
        leave();
      };
    },
  };
}
