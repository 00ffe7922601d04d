import { HearthlendError } from '../../core/contract/errors.ts';
import type { ChangeLog } from '../change-log.ts';
import { createListeners } from '../events.ts';
import type { Log } from '../log.ts';
import type { Applied, ChangeName, Changes } from '../store.ts';
import type { AnyChange, SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';

/** The log of a coordinator that is alone: each change is applied to its database by the call itself. */
export function createDirectLog(database: OpenDatabase, changes: SqliteChanges<Changes>, log: Log): ChangeLog {
  const { db, step, stepSoon, synced } = database;
  const listeners = createListeners<Applied>(log);
  const transactions = new Map(
    Object.entries<AnyChange>(changes).map(([name, { durable, apply }]) => [
      name,
      { durable, run: db.transaction(apply as (...args: unknown[]) => unknown) },
    ]),
  );

  return {
    async append<N extends ChangeName>(name: N, args: Parameters<Changes[N]>) {
      const change = transactions.get(name);
      if (change === undefined) throw new HearthlendError('INTERNAL', { detail: `there is no change named ${name}` });
      const { durable, run } = change;
      const result = (durable === 'at once' ? step(() => run(...args)) : stepSoon(() => run(...args))) as ReturnType<Changes[N]>;
      if (durable === 'together') await synced();
      listeners.emit({ name, args, result, own: true } as Applied);
      return result;
    },
    onApplied: listeners.add,
    async close() {
      database.close();
    },
  };
}
