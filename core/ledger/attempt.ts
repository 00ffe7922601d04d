import type { Sha256 } from '../contract/digest.ts';
import type { Amount, AssetId } from '../contract/money.ts';
import type { Address } from '../contract/receipt.ts';
import type { ShardState } from '../contract/shard-state.ts';
import type { EntryBody, KeptMessage } from './entry.ts';

/** One attempt at a shard as the ledger knows it: what was agreed at the lease, what came of it, and when (ms since 1970). */
export interface Attempt {
  network: string;
  shardId: string;
  attempt: number;
  state: ShardState;
  jobId: string;
  kind: EntryBody<'shard.leased'>['shardKind'];
  origin: EntryBody<'shard.leased'>['origin'];
  model: Sha256;
  inputs: Sha256;
  asset: AssetId;
  priceUnit: 'run' | 'token';
  unitPrice: Amount;
  worker: Address;
  payee: Address;
  outputs: Sha256 | null;
  outputBytes: number | null;
  units: number | null;
  /** units × unitPrice in base units, once computed. */
  amount: Amount | null;
  runMs: number | null;
  audited: boolean;
  receiptSequence: number | null;
  code: string | null;
  reason: KeptMessage | null;
  leasedAt: number;
  runningAt: number | null;
  computedAt: number | null;
  submittedAt: number | null;
  /** When it came to the state that it is in. */
  at: number;
  /** Sequences of its first and its latest entry. */
  firstEntry: number;
  lastEntry: number;
}
