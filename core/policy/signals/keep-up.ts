import type { SignalChange, SignalContext } from '../../contract/policy.ts';

const FIRST_WAIT_MS = 1000;
const LAST_WAIT_MS = 60_000;

/** Something that a source watches through: a connection, a child process. */
export interface Watching {
  /** Resolves, with why, when it is over. */
  closed: Promise<string>;
  /** Ends it; afterwards nothing of it is left. */
  close(): void | Promise<void>;
}

/**
 * Keeps a source's connection up: opens it, and when it breaks tells that the readings are unknown and tries again, after a second at first and a
 * minute at last. Returns the way to stop.
 * @param unknown what is unknown while it isn't open
 * @param open throws with the reason where it can't be opened
 */
export function keepUp(
  { name, unknown }: { name: string; unknown: SignalChange },
  context: Pick<SignalContext, 'publish' | 'log'>,
  open: () => Promise<Watching>,
): () => Promise<void> {
  const stopped = Promise.withResolvers<void>();
  let stopping = false;
  let waitMs = FIRST_WAIT_MS;
  let said: string | null = null;

  const wait = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    return Promise.race([promise, stopped.promise]).finally(() => clearTimeout(timer));
  };
  const watchOnce = async (): Promise<string> => {
    const openedAt = performance.now();
    const watching = await open();
    said = null;
    const why = await Promise.race([watching.closed, stopped.promise.then(() => '')]);
    await watching.close();
    if (performance.now() - openedAt > LAST_WAIT_MS) waitMs = FIRST_WAIT_MS;
    return why;
  };
  const run = async (): Promise<void> => {
    while (!stopping) {
      const why = await watchOnce().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
      if (stopping) return;
      context.publish(unknown);
      // The same reason once: a machine without a desktop has none every minute.
      if (why !== said) context.log('info', `${name} can't be watched now`, { why });
      said = why;
      await wait(waitMs);
      waitMs = Math.min(waitMs * 2, LAST_WAIT_MS);
    }
  };
  const running = run();
  return () => {
    stopping = true;
    stopped.resolve();
    return running;
  };
}
