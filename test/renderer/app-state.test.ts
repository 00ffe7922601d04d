import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBaseUnits } from '../../core/contract/money.ts';
import type { EventData } from '../../core/contract/rpc.ts';
import type { CurrentShard } from '../../core/contract/snapshot.ts';
import { addQuestion, changeAnswer } from '../../renderer/agent/answers.ts';
import { type AppState, applyChanged, applyCurrentText, applyPrompt, applySnapshot, FIRST_STATE } from '../../renderer/agent/app-state.ts';
import { pauseMs } from '../../renderer/agent/connection.ts';
import { atMostText } from '../../renderer/words/amounts.ts';
import { currentShard, practising } from '../fakes/snapshots.ts';

const live = (): AppState => applySnapshot(FIRST_STATE, practising(), 1);
const piece = (fields: Partial<EventData<'current.text'>>): EventData<'current.text'> => ({
  shardId: 'practice-129',
  attempt: 1,
  text: ' hook',
  tokens: 18,
  ...fields,
});
const said = (fields: Partial<EventData<'prompt.text'>>): EventData<'prompt.text'> => ({
  jobId: 'job-1',
  text: ' a lamp',
  tokens: 2,
  done: false,
  tokensPerSecond: null,
  error: null,
  ...fields,
});
const asked = (jobId: string | null): AppState => ({
  ...live(),
  answers: changeAnswer(addQuestion([], 1, 'lantern (noun):'), 1, { jobId }),
});

test('a change replaces the fields that it has and leaves the others', () => {
  const before = live();
  const state = applyChanged(before, { load: 0.5, state: undefined }, 2);
  expect(state.snapshot).toEqual({ ...before.snapshot, load: 0.5 });
  expect(state.heardAt).toBe(2);
});

test('pieces of text are appended to their own shard alone', () => {
  const state = applyCurrentText(live(), piece({}), 2);
  expect(state.snapshot?.current).toMatchObject({ text: `${currentShard().text} hook`, tokens: 18 });
  expect(state.shown).toMatchObject({ shard: state.snapshot?.current, newest: ' hook' });
  expect(applyCurrentText(state, piece({ attempt: 2 }), 3)).toBe(state);
  expect(applyCurrentText(state, piece({ shardId: 'practice-130' }), 3)).toBe(state);
});

test('a text stays until it could be read, however fast the shards go by, and while there is none', () => {
  const shown = (state: AppState): string | undefined => state.shown?.shard.shardId;
  const shard = (number: number): { current: CurrentShard } => ({ current: currentShard({ shardId: `practice-${number}` }) });
  const soon = applyChanged(live(), shard(130), 1000);
  expect(soon.snapshot?.current?.shardId).toBe('practice-130');
  expect(shown(soon)).toBe('practice-129');
  expect(shown(applyCurrentText(soon, piece({ shardId: 'practice-130' }), 1100))).toBe('practice-129');
  expect(shown(applyCurrentText(soon, piece({ shardId: 'practice-130' }), 1600))).toBe('practice-130');
  const later = applyChanged(soon, shard(131), 1600);
  expect(shown(later)).toBe('practice-131');
  expect(shown(applyChanged(later, { current: null }, 9000))).toBe('practice-131');
});

test('an answer is what was said last, and the end of it is the newest', () => {
  const first = applyPrompt(asked('job-1'), said({}));
  const second = applyPrompt(first, said({ text: ' a lamp that', tokens: 3 }));
  expect(second.answers[0]).toMatchObject({ text: ' a lamp that', newest: ' that', phase: 'answering' });
  expect(applyPrompt(second, said({ done: true, tokensPerSecond: 400 })).answers[0]).toMatchObject({ phase: 'done', tokensPerSecond: 400 });
  expect(applyPrompt(second, said({ done: true, error: 'CANCELLED' })).answers[0]).toMatchObject({ phase: 'stopped' });
  expect(applyPrompt(second, said({ done: true, error: 'WORKER_TIMEOUT' })).answers[0]).toMatchObject({
    phase: 'failed',
    error: { code: 'WORKER_TIMEOUT' },
  });
  expect(applyPrompt(second, said({ done: true, error: 'NOT_KNOWN_HERE' })).answers[0]).toMatchObject({ error: { code: 'INTERNAL' } });
});

test('an answer that begins before its call came back is kept for it, and others are not', () => {
  expect(applyPrompt(asked(null), said({})).early).toEqual([said({})]);
  expect(applyPrompt(asked('job-2'), said({})).early).toEqual([]);
  const many = Array.from({ length: 100 }, (_, index) => said({ jobId: `job-${index}` }));
  expect(many.reduce(applyPrompt, asked(null)).early.length).toBeLessThanOrEqual(16);
});

test('the list of answers is bounded', () => {
  const answers = Array.from({ length: 100 }, (_, index) => index).reduce((list, id) => addQuestion(list, id, 'x'), FIRST_STATE.answers);
  expect(answers).toHaveLength(30);
  expect(answers[0]?.id).toBe(99);
});

test('pauses between tries double from a quarter of a second to ten seconds, spread by a fifth', () => {
  expect([0, 1, 2, 3].map((failures) => pauseMs(failures, 0.5))).toEqual([250, 500, 1000, 2000]);
  expect(pauseMs(1000, 0.5)).toBe(10_000);
  expect([pauseMs(0, 0), Math.round(pauseMs(0, 1))]).toEqual([200, 300]);
});

test('what is paid at the most is rounded up to three digits, never down', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 255n }), fc.nat({ max: 18 }), (amount, decimals) => {
      const shown = parseBaseUnits(atMostText(amount, decimals), decimals) ?? -1n;
      expect(shown >= amount && (shown - amount) * 100n <= amount).toBe(true);
      expect(atMostText(amount, decimals).replace(/[.0]/g, '').length).toBeLessThanOrEqual(4);
    }),
  );
});
