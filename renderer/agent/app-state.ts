import type { HearthlendError } from '../../core/contract/errors.ts';
import type { EventData } from '../../core/contract/rpc.ts';
import type { Settings } from '../../core/contract/settings.ts';
import type { CurrentShard, Snapshot } from '../../core/contract/snapshot.ts';
import type { Answer } from './answers.ts';
import { applyPromptText } from './answers.ts';

/** How this page stands with the agent. `retryAt` null: trying just now. */
export type Link =
  | { name: 'connecting' }
  | { name: 'live' }
  | { name: 'lost'; retryAt: number | null }
  | { name: 'refused' }
  | { name: 'broken'; error: HearthlendError };

/** Everything that the page draws. */
export interface AppState {
  link: Link;
  /** Null until the first one came. After a lost connection it stays, as old as `heardAt`. */
  snapshot: Snapshot | null;
  heardAt: number | null;
  /** The shard before the one that is being computed: shown in the moment between two. */
  finished: CurrentShard | null;
  /** The piece of text that came last, of which shard. */
  newest: { shardId: string; attempt: number; piece: string } | null;
  answers: readonly Answer[];
  /** Answers that began before the call that asked for them came back. */
  early: readonly EventData<'prompt.text'>[];
  theme: Settings['theme'];
  /** What a press of a button came to, where it failed. */
  notice: HearthlendError | null;
}

export const FIRST_STATE: AppState = {
  link: { name: 'connecting' },
  snapshot: null,
  heardAt: null,
  finished: null,
  newest: null,
  answers: [],
  early: [],
  theme: 'system',
  notice: null,
};

export function applySnapshot(state: AppState, snapshot: Snapshot, heardAt: number): AppState {
  return { ...state, link: { name: 'live' }, snapshot, heardAt, finished: null, newest: null };
}

export function applyChanged(state: AppState, changed: EventData<'changed'>, heardAt: number): AppState {
  if (state.snapshot === null) return state;
  // Undefined is what JSON leaves out; spreading it would erase the field.
  const fields = Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== undefined)) as Partial<Snapshot>;
  const before = state.snapshot.current;
  const snapshot = { ...state.snapshot, ...fields };
  const same = before !== null && snapshot.current?.shardId === before.shardId && snapshot.current.attempt === before.attempt;
  return { ...state, snapshot, heardAt, finished: same || before === null ? state.finished : before };
}

export function applyCurrentText(
  state: AppState,
  { shardId, attempt, text, tokens }: EventData<'current.text'>,
  heardAt: number,
): AppState {
  const current = state.snapshot?.current;
  if (state.snapshot === null || current?.shardId !== shardId || current.attempt !== attempt) return state;
  const snapshot = { ...state.snapshot, current: { ...current, text: (current.text ?? '') + text, tokens } };
  return { ...state, snapshot, heardAt, newest: { shardId, attempt, piece: text } };
}

const MAX_EARLY = 16;

export function applyPrompt(state: AppState, event: EventData<'prompt.text'>): AppState {
  const answers = applyPromptText(state.answers, event);
  if (answers !== state.answers) return { ...state, answers };
  if (!state.answers.some((answer) => answer.jobId === null && answer.phase === 'asking')) return state;
  const others = state.early.filter((early) => early.jobId !== event.jobId);
  return { ...state, early: [...others, event].slice(-MAX_EARLY) };
}
