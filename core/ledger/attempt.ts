import type { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { type Amount, type AssetId, priceOf } from '../contract/money.ts';
import type { Address } from '../contract/receipt.ts';
import { mayFollow, type ShardState } from '../contract/shard-state.ts';
import type { Entry, EntryBody, EntryKind, KeptMessage } from './entry.ts';

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
  /** What computed it; null where that is not on record. */
  device: string | null;
  /** Energy of its run, and whether no sensor measured it; null while it isn't known. */
  millijoules: number | null;
  energyEstimated: boolean | null;
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
  /** The stretch of work that its running belongs to. */
  spanId: number | null;
  /** Sequences of its first entry, and of that which brought it to its state: its energy, which may come later, does not count. */
  firstEntry: number;
  lastEntry: number;
}

type ShardEntryKind = Extract<EntryKind, `shard.${string}`>;
export type ShardEntry = Entry<ShardEntryKind>;

export function isShardEntry(entry: Entry): entry is ShardEntry {
  return entry.kind.startsWith('shard.');
}

function stateOf(kind: ShardEntryKind): ShardState {
  return kind.slice('shard.'.length) as ShardState;
}

/** @throws TRANSITION_ILLEGAL */
export function checkTransition(shardId: string, before: ShardState | undefined, to: ShardState): void {
  if (!mayFollow(before, to)) throw new HearthlendError('TRANSITION_ILLEGAL', { shard: shardId, from: before ?? 'unknown', to });
}

/** The attempt after an entry. Pure. @throws TRANSITION_ILLEGAL where its state may not follow */
export function advance(before: Attempt | undefined, entry: ShardEntry): Attempt {
  const state = stateOf(entry.kind);
  const { sequence, at, body } = entry;
  checkTransition(body.shardId, before?.state, state);
  if (entry.kind === 'shard.leased') return leased(entry);
  const after: Attempt = { ...(before as Attempt), state, at, lastEntry: sequence };
  switch (entry.kind) {
    case 'shard.running':
      return { ...after, runningAt: at };
    case 'shard.computed': {
      const { outputs, outputBytes, units, runMs, device = null } = entry.body;
      return { ...after, outputs, outputBytes, units, runMs, device, computedAt: at, amount: priceOf(units, after.unitPrice).toString() };
    }
    case 'shard.submitted':
      return { ...after, submittedAt: at };
    case 'shard.accepted':
      return { ...after, audited: entry.body.audited, receiptSequence: entry.body.receiptSequence };
    case 'shard.rejected':
      return { ...after, code: entry.body.code, reason: { key: 'reason.task-rejected', params: { detail: said(entry.body) } } };
    case 'shard.failed':
      return { ...after, code: entry.body.code, reason: { key: 'reason.task-failed', params: { detail: said(entry.body) } } };
    case 'shard.released':
      return { ...after, code: entry.body.reason, reason: { key: `reason.task-released-${entry.body.reason}`, params: {} } };
    case 'shard.expired':
      return { ...after, reason: { key: 'reason.task-expired', params: {} } };
    default:
      return after;
  }
}

/** The words that came with an error, else its code. */
function said({ code, detail }: { code: string; detail: string }): string {
  return detail === '' ? code : detail;
}

function leased({ sequence, at, body }: Entry<'shard.leased'>): Attempt {
  const { shardKind, ...agreed } = body;
  return {
    ...agreed,
    kind: shardKind,
    state: 'leased',
    outputs: null,
    outputBytes: null,
    units: null,
    amount: null,
    runMs: null,
    device: null,
    millijoules: null,
    energyEstimated: null,
    audited: false,
    receiptSequence: null,
    code: null,
    reason: null,
    leasedAt: at,
    runningAt: null,
    computedAt: null,
    submittedAt: null,
    at,
    spanId: null,
    firstEntry: sequence,
    lastEntry: sequence,
  };
}
