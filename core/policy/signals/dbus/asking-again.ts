import type { Watching } from '../keep-up.ts';
import type { Bus } from './connection.ts';

/** A bus on which `tell` is called now, and again every `everyMs`, as long as it is watched: a signal may have been missed. */
export function askingAgain(bus: Bus, tell: () => void, everyMs: number): Watching {
  const timer = setInterval(tell, everyMs);
  tell();
  return {
    closed: bus.closed,
    close() {
      clearInterval(timer);
      bus.close();
    },
  };
}
