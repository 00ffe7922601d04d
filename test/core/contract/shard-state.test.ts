import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ACCEPTED_STATES,
  afterCrash,
  EXPECTED_STATES,
  isFinal,
  mayFollow,
  NEXT_STATES,
  ShardState,
} from '../../../core/contract/shard-state.ts';

const states = fc.constantFrom(...ShardState.options);

test('every attempt starts leased, and only so', () => {
  fc.assert(
    fc.property(states, (state) => {
      expect(mayFollow(undefined, state)).toBe(state === 'leased');
    }),
  );
});

test('every way ends: no state comes again, and every state is reached', () => {
  const reached = new Set<ShardState>();
  const walk = (state: ShardState, path: readonly ShardState[]) => {
    expect(path).not.toContain(state);
    reached.add(state);
    for (const next of NEXT_STATES[state]) walk(next, [...path, state]);
  };
  walk('leased', []);
  expect([...reached].sort()).toEqual([...ShardState.options].sort());
});

test('a result can not be taken back once it is accepted, nor handed back once it is submitted', () => {
  fc.assert(
    fc.property(states, (to) => {
      expect(mayFollow('accepted', to)).toBe(to === 'vouched');
      expect(mayFollow('submitted', to)).toBe(['accepted', 'rejected', 'disputed', 'expired'].includes(to));
      expect(mayFollow('disputed', to)).toBe(['accepted', 'rejected'].includes(to));
    }),
  );
});

test('what is accepted, expected or over excludes each other', () => {
  fc.assert(
    fc.property(states, (state) => {
      const kinds = [ACCEPTED_STATES.includes(state), EXPECTED_STATES.includes(state), isFinal(state) && state !== 'settled'];
      expect(kinds.filter(Boolean).length).toBeLessThanOrEqual(1);
    }),
  );
});

test('after a crash what was begun is handed back, what was computed is sent again, and the rest is left', () => {
  const actions = Object.fromEntries(ShardState.options.map((state) => [state, afterCrash(state)]));
  expect(actions).toMatchObject({ leased: 'release', fetched: 'release', running: 'release', computed: 'resubmit', submitted: 'resubmit' });
  fc.assert(
    fc.property(states, (state) => {
      if (afterCrash(state) === 'release') expect(mayFollow(state, 'released')).toBe(true);
      if (isFinal(state) || ACCEPTED_STATES.includes(state)) expect(afterCrash(state)).toBe('nothing');
    }),
  );
});
