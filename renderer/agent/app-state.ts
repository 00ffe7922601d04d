import type { BenchmarkHistory } from '../../core/contract/benchmark.ts';
import type { HearthlendError } from '../../core/contract/errors.ts';
import type { IdentityStatus } from '../../core/contract/identity.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';
import type { ClaimSettings, PaymentsStatus } from '../../core/contract/payments.ts';
import type { PauseRecord, PolicyStatus } from '../../core/contract/policy.ts';
import type { EventData } from '../../core/contract/rpc.ts';
import type { Rules } from '../../core/contract/rules.ts';
import type { Contact } from '../../core/contract/sending.ts';
import type { Settings } from '../../core/contract/settings.ts';
import type { CurrentShard, Snapshot } from '../../core/contract/snapshot.ts';
import type { TelemetryHistory } from '../../core/contract/telemetry.ts';
import type { SpendLimit, WalletStatus } from '../../core/contract/wallet.ts';
import type { Answer } from './answers.ts';
import { applyPromptText } from './answers.ts';

/** How this page stands with the agent. `retryAt` null: trying just now. */
export type Link =
  | { name: 'connecting' }
  | { name: 'live' }
  | { name: 'lost'; retryAt: number | null }
  | { name: 'refused' }
  | { name: 'broken'; error: HearthlendError };

/** What the Wallet page shows of money. */
export interface Money {
  status: PaymentsStatus;
  contacts: readonly Contact[];
  limits: readonly SpendLimit[];
  identity: IdentityStatus;
  claims: ClaimSettings;
}

/** Everything that the page draws. */
export interface AppState {
  link: Link;
  /** Null until the first one came. After a lost connection it stays, as old as `heardAt`. */
  snapshot: Snapshot | null;
  heardAt: number | null;
  /** The shard whose text is shown, and since when: the current one, or the last, long enough to be read. */
  shown: { shard: CurrentShard; since: number; newest: string } | null;
  answers: readonly Answer[];
  /** Answers that began before the call that asked for them came back. */
  early: readonly EventData<'prompt.text'>[];
  /** Null until the first word of it came, and where it can't be read: `walletTrouble` then says why. */
  wallet: WalletStatus | null;
  walletTrouble: HearthlendError | null;
  /** What is owed, sent and may be spent. Null until the Wallet page asked; `moneyTrouble`: why it could not be told. */
  money: Money | null;
  moneyTrouble: HearthlendError | null;
  telemetry: TelemetryHistory;
  /** Null until it was told. */
  benchmark: BenchmarkHistory | null;
  /** When to work: the rules, what they make of the machine now, and the pauses of the last days. Null until the page asked. */
  when: { rules: Rules; status: PolicyStatus; pauses: readonly PauseRecord[] } | null;
  /** Null until they were told. */
  networks: readonly NetworkRow[] | null;
  theme: Settings['theme'];
  /** What a press of a button came to, where it failed. */
  notice: HearthlendError | null;
}

export const FIRST_STATE: AppState = {
  link: { name: 'connecting' },
  snapshot: null,
  heardAt: null,
  shown: null,
  answers: [],
  early: [],
  wallet: null,
  walletTrouble: null,
  money: null,
  moneyTrouble: null,
  telemetry: { samples: [], energies: [] },
  benchmark: null,
  when: null,
  networks: null,
  theme: 'system',
  notice: null,
};

export function applySnapshot(state: AppState, snapshot: Snapshot, heardAt: number): AppState {
  return { ...state, link: { name: 'live' }, snapshot, heardAt, shown: show(null, snapshot.current, heardAt) };
}

export function applyChanged(state: AppState, changed: EventData<'changed'>, heardAt: number): AppState {
  if (state.snapshot === null) return state;
  // Undefined is what JSON leaves out; spreading it would erase the field.
  const fields = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)) as Partial<Snapshot>;
  const snapshot = { ...state.snapshot, ...fields };
  return { ...state, snapshot, heardAt, shown: show(state.shown, snapshot.current, heardAt) };
}

export function applyCurrentText(state: AppState, event: EventData<'current.text'>, heardAt: number): AppState {
  const current = state.snapshot?.current ?? null;
  if (state.snapshot === null || current === null || !isSame(current, event)) return state;
  const snapshot = { ...state.snapshot, current: { ...current, text: (current.text ?? '') + event.text, tokens: event.tokens } };
  const shown = show(state.shown, snapshot.current, heardAt);
  const newest = shown !== null && isSame(shown.shard, event) ? { ...shown, newest: event.text } : shown;
  return { ...state, snapshot, heardAt, shown: newest };
}

/** A small model ends a shard in a few hundredths of a second: its text stays this long, so that it can be read. */
const READ_MS = 1500;

function show(shown: AppState['shown'], current: CurrentShard | null, now: number): AppState['shown'] {
  if (current === null) return shown;
  if (shown !== null && isSame(shown.shard, current)) return { ...shown, shard: current };
  return shown !== null && now - shown.since < READ_MS ? shown : { shard: current, since: now, newest: '' };
}

function isSame(one: { shardId: string; attempt: number }, other: { shardId: string; attempt: number }): boolean {
  return one.shardId === other.shardId && one.attempt === other.attempt;
}

const MAX_EARLY = 16;

export function applyPrompt(state: AppState, event: EventData<'prompt.text'>): AppState {
  const answers = applyPromptText(state.answers, event);
  if (answers !== state.answers) return { ...state, answers };
  if (!state.answers.some((answer) => answer.jobId === null && answer.phase === 'asking')) return state;
  const others = state.early.filter((early) => early.jobId !== event.jobId);
  return { ...state, early: [...others, event].slice(-MAX_EARLY) };
}
