import { z } from 'zod';

/** The states of one attempt at a shard, as DESIGN's "life of a shard" has them. */
export const ShardState = z.enum([
  'leased',
  'fetched',
  'running',
  'computed',
  'submitted',
  'accepted',
  'vouched',
  'settled',
  'disputed',
  'rejected',
  'released',
  'failed',
  'cancelled',
  'expired',
]);
export type ShardState = z.infer<typeof ShardState>;

const BEFORE_COMPUTED: ShardState[] = ['released', 'failed', 'cancelled', 'expired'];

/** state → the states that may follow it. States with none are final. */
export const NEXT_STATES: Record<ShardState, readonly ShardState[]> = {
  leased: ['fetched', ...BEFORE_COMPUTED],
  fetched: ['running', ...BEFORE_COMPUTED],
  running: ['computed', ...BEFORE_COMPUTED],
  computed: ['submitted', ...BEFORE_COMPUTED],
  submitted: ['accepted', 'rejected', 'disputed', 'expired'],
  disputed: ['accepted', 'rejected'],
  accepted: ['vouched'],
  vouched: ['settled'],
  settled: [],
  rejected: [],
  released: [],
  failed: [],
  cancelled: [],
  expired: [],
};

export function mayFollow(from: ShardState | undefined, to: ShardState): boolean {
  return from === undefined ? to === 'leased' : NEXT_STATES[from].includes(to);
}

/** Nothing follows (practice ends at accepted, which only a voucher could follow). */
export function isFinal(state: ShardState): boolean {
  return NEXT_STATES[state].length === 0;
}

/** Done and not taken back: what `accepted` counts. */
export const ACCEPTED_STATES: readonly ShardState[] = ['accepted', 'vouched', 'settled'];

/** Done but not checked yet: what `expected` counts. */
export const EXPECTED_STATES: readonly ShardState[] = ['computed', 'submitted', 'disputed'];

/** What a start after a crash does with an attempt that is still in this state. */
export function afterCrash(state: ShardState): 'release' | 'resubmit' | 'nothing' {
  if (state === 'leased' || state === 'fetched' || state === 'running') return 'release';
  if (state === 'computed' || state === 'submitted') return 'resubmit';
  return 'nothing';
}
