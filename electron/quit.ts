import type { App } from '../core/app.ts';

/** How long "leave now" waits for the worker to be killed and the ledger to be closed. */
const LEAVE_WITHIN_MS = 3000;

export interface Quit {
  /** Finishes the shard that runs, or drops it `now`. A second call may hurry the first. */
  request(how: { now: boolean }): void;
  state(): 'finish' | 'now' | null;
  /** Resolves when waiting any longer makes no sense. */
  left: Promise<void>;
}

/** Ends the agent on request: in time, or at once. `onRequest` is called at every new request. */
export function createQuit(agent: Pick<App, 'stop'>, onRequest: () => void): Quit {
  let state: 'finish' | 'now' | null = null;
  const left = Promise.withResolvers<void>();
  return {
    request({ now }) {
      if (state === 'now' || (state === 'finish' && !now)) return;
      state = now ? 'now' : 'finish';
      // What goes wrong in stopping is told by `finished`.
      agent.stop({ now }).catch(() => undefined);
      if (now) setTimeout(left.resolve, LEAVE_WITHIN_MS).unref();
      onRequest();
    },
    state: () => state,
    left: left.promise,
  };
}
