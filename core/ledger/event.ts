import type { WorkReceipt } from '../contract/receipt.ts';
import type { EntryBody, EntryKind } from './entry.ts';

type Flat<K extends EntryKind> = {
  [Kind in K]: EntryBody<Kind> extends Record<string, never> ? { kind: Kind; at: number } : { kind: Kind; at: number } & EntryBody<Kind>;
}[K];

/**
 * What the agent tells the ledger: an entry's kind, when it happened (`at`, ms since 1970) and its body's fields. A lease is given without the
 * worker's address, which the ledger knows; an acceptance with its receipt, which becomes an entry of its own before it.
 */
export type LedgerEvent =
  | Flat<Exclude<EntryKind, 'shard.leased' | 'shard.accepted' | 'receipt'>>
  | ({ kind: 'shard.leased'; at: number } & Omit<EntryBody<'shard.leased'>, 'worker'>)
  | { kind: 'shard.accepted'; at: number; audited: boolean; receipt: WorkReceipt };
