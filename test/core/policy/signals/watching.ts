import { onTestFinished } from 'vitest';
import type { SignalChange, SignalContext, SignalSource } from '../../../../core/contract/policy.ts';
import { Rules, type RulesChange } from '../../../../core/contract/rules.ts';

export interface Watched {
  /** Every change so far, oldest first. */
  changes: SignalChange[];
  logged: string[];
  /** Whether the machine falls asleep, or is awake again, as it was told. */
  sleeps: boolean[];
  /** Resolves with the first change, of those so far and those to come, that is as wanted. */
  until(wanted: (change: SignalChange) => boolean): Promise<SignalChange>;
  /** Likewise, of those to come alone. */
  next(wanted: (change: SignalChange) => boolean): Promise<SignalChange>;
  change(rules: RulesChange, working?: boolean): void;
  stop(): Promise<void>;
}

/** Starts a source, and keeps what it tells. It is stopped with the test at the latest. */
export function watch(source: SignalSource, rules: RulesChange = {}): Watched {
  const changes: SignalChange[] = [];
  const logged: string[] = [];
  const sleeps: boolean[] = [];
  const waiting = new Set<(change: SignalChange) => void>();
  const listeners = new Set<() => void>();
  let current = Rules.parse(rules);
  let working = false;
  const context: SignalContext = {
    publish(change) {
      changes.push(change);
      for (const listener of waiting) listener(change);
    },
    sleep(falls) {
      sleeps.push(falls);
      for (const listener of waiting) listener({});
    },
    rules: () => current,
    working: () => working,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clock: () => Date.now(),
    log: (_level, event, facts) => void logged.push(`${event} ${JSON.stringify(facts)}`),
  };
  const end = source.start(context);
  let ended: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    ended ??= Promise.resolve(end());
    await ended;
  };
  onTestFinished(stop);
  const next: Watched['next'] = (wanted) =>
    new Promise((resolve) => {
      const listener = (change: SignalChange): void => {
        if (!wanted(change)) return;
        waiting.delete(listener);
        resolve(change);
      };
      waiting.add(listener);
    });
  return {
    changes,
    logged,
    sleeps,
    next,
    until: (wanted) => {
      const had = changes.find(wanted);
      return had === undefined ? next(wanted) : Promise.resolve(had);
    },
    change(rulesChange, nowWorking = working) {
      current = Rules.parse({ ...current, ...rulesChange });
      working = nowWorking;
      for (const listener of listeners) listener();
    },
    stop,
  };
}
