import { HearthlendError } from '../../core/contract/errors.ts';
import type { ChangeLog } from '../change-log.ts';
import { createListeners } from '../events.ts';
import type { Log } from '../log.ts';
import type { Applied, ChangeName, Changes } from '../store.ts';
import type { AnyChange, Durability, SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

/** A change that was asked for and not made yet. */
interface Waiting {
  name: ChangeName;
  args: unknown[];
  durable: Durability;
  run: (...args: unknown[]) => unknown;
  resolve: (result: unknown) => void;
  reject: (thrown: unknown) => void;
}
type Outcome = { made: unknown } | { thrown: unknown };

/**
 * The log of a coordinator that is alone: changes are applied to its database, in the order in which they were asked for. Those of one moment (results
 * that are handed in together) share a transaction, since a commit costs as much as most changes; each stands or falls by itself all the same.
 */
export function createDirectLog(database: OpenDatabase, changes: SqliteChanges<Changes>, log: Log): ChangeLog {
  const { db, step, stepSoon, synced } = database;
  const listeners = createListeners<Applied>(log);
  const transactions = new Map(
    Object.entries<AnyChange>(changes).map(([name, { durable, apply }]) => [
      name,
      { durable, run: db.transaction(apply as (...args: unknown[]) => unknown) as (...args: unknown[]) => unknown },
    ]),
  );
  let waiting: Waiting[] = [];

  const alone = ({ run, args }: Waiting): Outcome => {
    try {
      return { made: run(...args) };
    } catch (thrown) {
      return { thrown };
    }
  };
  const together = db.transaction((group: readonly Waiting[]) =>
    group.map((each): Outcome => {
      const outcome = alone(each);
      // Some errors (a full disk) take the transaction around them, too: then each is tried by itself.
      if ('thrown' in outcome && !db.inTransaction) throw outcome.thrown;
      return outcome;
    }),
  );

  function outcomesOf(group: readonly Waiting[]): Outcome[] {
    if (group.length > 1) {
      try {
        return together(group);
      } catch {
        // Nothing of it was made.
      }
    }
    return group.map(alone);
  }

  function settle({ name, args, resolve, reject }: Waiting, outcome: Outcome): void {
    if ('thrown' in outcome) {
      reject(outcome.thrown);
      return;
    }
    listeners.emit({ name, args, result: outcome.made, own: true } as Applied);
    resolve(outcome.made);
  }

  async function apply(): Promise<void> {
    const group = waiting;
    waiting = [];
    const make = () => outcomesOf(group);
    let outcomes: Outcome[];
    try {
      outcomes = group.some(({ durable }) => durable === 'at once') ? step(make) : stepSoon(make);
    } catch (thrown) {
      for (const each of group) each.reject(thrown);
      return;
    }
    const later = group.flatMap((each, at) => {
      const outcome = outcomes[at] as Outcome;
      if (each.durable === 'together' && 'made' in outcome) return [{ each, outcome }];
      settle(each, 'thrown' in outcome ? { thrown: translated(outcome.thrown) } : outcome);
      return [];
    });
    if (later.length === 0) return;
    try {
      await synced();
      for (const { each, outcome } of later) settle(each, outcome);
    } catch (thrown) {
      for (const { each } of later) each.reject(thrown);
    }
  }

  /** SQLite's errors by our codes. */
  function translated(thrown: unknown): unknown {
    try {
      return stepSoon(() => {
        throw thrown;
      });
    } catch (coded) {
      return coded;
    }
  }

  return {
    append<N extends ChangeName>(name: N, args: Parameters<Changes[N]>) {
      const change = transactions.get(name);
      if (change === undefined) return Promise.reject(new HearthlendError('INTERNAL', { detail: `there is no change named ${name}` }));
      return new Promise<ReturnType<Changes[N]>>((resolve, reject) => {
        // What goes on at the same moment asks within a few turns of promises.
        if (waiting.length === 0) queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => void apply())));
        waiting.push({ name, args, ...change, resolve: resolve as (result: unknown) => void, reject });
      });
    },
    onApplied: listeners.add,
    async close() {
      while (waiting.length > 0) await Promise.resolve();
      database.close();
    },
  };
}
