import type { ChangeName, Changes } from '../store.ts';

/**
 * When an embedded coordinator's disk has a change: before it is told; before it is told, in one wait with others; or with the next one that is waited
 * for, where a power cut that takes it does no harm. (Behind a log of many coordinators, the log is what is durable.)
 */
export type Durability = 'at once' | 'together' | 'later';

/** One change as SQL: called inside a transaction, with arguments that may come from another coordinator's JSON. */
interface SqliteChange<F> {
  durable: Durability;
  apply: F;
}

/** The changes of one feature. */
export type SqliteChanges<C> = { [N in keyof C]: SqliteChange<C[N]> };

/** A change of any name, for what treats them all alike. */
export type AnyChange = SqliteChange<(...args: never[]) => unknown>;

export function changeNames(changes: SqliteChanges<Changes>): ChangeName[] {
  return Object.keys(changes) as ChangeName[];
}
