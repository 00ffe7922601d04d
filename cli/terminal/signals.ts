/** What asks a command to end: Ctrl-C, a service manager, a terminal that was closed, a reader of our output that left. */
export type EndSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP' | 'output-closed';

export interface Signals {
  /** Calls the listener at every request to end; until it is removed, none of them ends the process. */
  on(listener: (signal: EndSignal) => void): () => void;
}

const NAMES = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One Ctrl-C can reach us twice within this time: from the terminal, and from npm that passes it on. */
const SAME_SIGNAL_MS = 500;

/** The signals of this process. Where nobody listens they end it, as they would anyway. */
export function processSignals(stdout: NodeJS.WriteStream): Signals {
  const listeners = new Set<(signal: EndSignal) => void>();
  const lastMs = new Map<EndSignal, number>();
  const tell = (signal: EndSignal) => {
    const now = performance.now();
    const repeated = now - (lastMs.get(signal) ?? Number.NEGATIVE_INFINITY) < SAME_SIGNAL_MS;
    lastMs.set(signal, now);
    if (!repeated) for (const listener of listeners) listener(signal);
  };
  const handlers = new Map(NAMES.map((name) => [name, () => tell(name)]));
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // `hearthlend … | head` has what it wanted.
    if (listeners.size === 0) process.exit(0);
    tell('output-closed');
  });
  return {
    on: (listener) => {
      if (listeners.size === 0) for (const [name, handler] of handlers) process.on(name, handler);
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) for (const [name, handler] of handlers) process.off(name, handler);
      };
    },
  };
}
