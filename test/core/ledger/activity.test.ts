import { afterEach, expect, test } from 'vitest';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import type { Ledger } from '../../../core/ledger/ledger.ts';
import { computed, DAY_MS, leased, NETWORK, openScene, started, step } from './scene.ts';

const MINUTE = 60_000;
const DAY_END = DAY_MS + 86_400_000;

const opened: { ledger: Ledger }[] = [];
afterEach(() => {
  for (const { ledger } of opened.splice(0)) ledger.close();
});

function scene() {
  const fresh = openScene();
  opened.push(fresh);
  return fresh;
}

/** Shard `number` runs from `fromMs` to `toMs`. */
const ran = (number: number, fromMs: number, toMs: number): LedgerEvent[] => [...begun(number, fromMs), computed(number, toMs)];
const begun = (number: number, at: number): LedgerEvent[] => [
  leased(number, at),
  step('shard.fetched', number, at),
  step('shard.running', number, at),
];
const paused = (at: number): LedgerEvent => ({ kind: 'agent.paused', at, reason: { key: 'reason.paused-by-you', params: {} } });
const resumed = (at: number): LedgerEvent => ({ kind: 'agent.resumed', at });

test('shards that follow within a minute are one stretch of work, and a longer gap parts them', () => {
  const { ledger } = scene();
  const at = DAY_MS + 10 * MINUTE;
  ledger.record([...ran(1, at, at + 1000), ...ran(2, at + 60_999, at + 70_000), ...ran(3, at + 130_001, at + 140_000)]);
  expect(ledger.day(DAY_MS, DAY_END, null)).toEqual([
    { from: at, to: at + 70_000, kind: 'worked', reason: null },
    { from: at + 130_001, to: at + 140_000, kind: 'worked', reason: null },
  ]);
});

test('two shards at once are one stretch until the last of them ends', () => {
  const { ledger } = scene();
  const failed: LedgerEvent = {
    kind: 'shard.failed',
    at: DAY_MS + 3 * MINUTE,
    network: NETWORK,
    shardId: 's2',
    attempt: 1,
    code: 'RUN_FAILED',
    detail: '',
  };
  ledger.record([...begun(1, DAY_MS), ...begun(2, DAY_MS + MINUTE), computed(1, DAY_MS + 2 * MINUTE), failed]);
  expect(ledger.day(DAY_MS, DAY_END, null)).toEqual([{ from: DAY_MS, to: DAY_MS + 3 * MINUTE, kind: 'worked', reason: null }]);
});

test('a pause is time set aside, with its reason, and parts the work around it', () => {
  const { ledger } = scene();
  ledger.record([
    ...ran(1, DAY_MS, DAY_MS + 5000),
    paused(DAY_MS + 6000),
    resumed(DAY_MS + 9000),
    ...ran(2, DAY_MS + 9500, DAY_MS + 12_000),
  ]);
  expect(ledger.day(DAY_MS, DAY_END, null)).toEqual([
    { from: DAY_MS, to: DAY_MS + 5000, kind: 'worked', reason: null },
    { from: DAY_MS + 6000, to: DAY_MS + 9000, kind: 'aside', reason: { key: 'reason.paused-by-you', params: {} } },
    { from: DAY_MS + 9500, to: DAY_MS + 12_000, kind: 'worked', reason: null },
  ]);
});

test('what goes on lasts until now, and is cut to the day that is asked for', () => {
  const { ledger } = scene();
  ledger.record(begun(1, DAY_MS - MINUTE));
  expect(ledger.day(DAY_MS, DAY_END, DAY_MS + 5 * MINUTE)).toEqual([
    { from: DAY_MS, to: DAY_MS + 5 * MINUTE, kind: 'worked', reason: null },
  ]);
  expect(ledger.day(DAY_MS - 86_400_000, DAY_MS, DAY_MS + MINUTE)).toEqual([
    { from: DAY_MS - MINUTE, to: DAY_MS, kind: 'worked', reason: null },
  ]);
  expect(ledger.day(DAY_END, DAY_END + 1, DAY_MS + MINUTE)).toEqual([]);
});

test('after a crash, what went on ended with the last entry before it, however late the next start is', async () => {
  const { ledger } = scene();
  ledger.record([started(DAY_MS), ...begun(1, DAY_MS + 1000), leased(2, DAY_MS + 8000)]);
  expect(ledger.day(DAY_MS, DAY_END, null)).toEqual([{ from: DAY_MS + 1000, to: DAY_MS + 8000, kind: 'worked', reason: null }]);
  const restart = DAY_MS + 60 * MINUTE;
  ledger.record([started(restart)]);
  // The shard that ran is handed back while another runs already: that one's stretch goes on.
  ledger.record(begun(3, restart + 1000));
  ledger.record([{ kind: 'shard.released', at: restart + 2000, network: NETWORK, shardId: 's1', attempt: 1, reason: 'restart' }]);
  ledger.record([computed(3, restart + 9000)]);
  expect(ledger.day(DAY_MS, DAY_END, null)).toEqual([
    { from: DAY_MS + 1000, to: DAY_MS + 8000, kind: 'worked', reason: null },
    { from: restart + 1000, to: restart + 9000, kind: 'worked', reason: null },
  ]);
  expect((await ledger.verify()).problems).toEqual([]);
});

test('a pause ends when the agent stops, and a second one with another reason follows it', () => {
  const { ledger } = scene();
  ledger.record([
    paused(DAY_MS),
    { kind: 'agent.paused', at: DAY_MS + 1000, reason: { key: 'a.message.of.another.version', params: { x: 1 } } },
    { kind: 'agent.stopped', at: DAY_MS + 3000 },
  ]);
  expect(ledger.day(DAY_MS, DAY_END, DAY_END)).toEqual([
    { from: DAY_MS, to: DAY_MS + 1000, kind: 'aside', reason: { key: 'reason.paused-by-you', params: {} } },
    { from: DAY_MS + 1000, to: DAY_MS + 3000, kind: 'aside', reason: null },
  ]);
});

test('a clock that is set back makes no stretch that ends before it began', () => {
  const { ledger } = scene();
  ledger.record([...begun(1, DAY_MS + MINUTE), computed(1, DAY_MS)]);
  for (const { from, to } of ledger.day(DAY_MS, DAY_END, null)) expect(to).toBeGreaterThan(from);
});

test('a pause keeps how long it took to yield and what that gave back, also when it is over before that is known', async () => {
  const { ledger } = scene();
  const freed = { memory: { bytes: 5e8, leftBytes: 0, by: 'process' as const }, vram: [] };
  const yielded = (at: number, yieldMs: number): LedgerEvent => ({ kind: 'agent.yielded', at, yieldMs, freed });
  ledger.record([yielded(DAY_MS, 1), paused(DAY_MS + 1000), yielded(DAY_MS + 1009, 8.5), resumed(DAY_MS + 2000)]);
  ledger.record([paused(DAY_MS + 3000), resumed(DAY_MS + 3001), yielded(DAY_MS + 3010, 9.5), paused(DAY_MS + 4000)]);
  const reason = { key: 'reason.paused-by-you', params: {} };
  expect(ledger.pauses(DAY_MS, DAY_END, 10)).toEqual([
    { from: DAY_MS + 1000, to: DAY_MS + 2000, reason, yieldMs: 8.5, freed },
    { from: DAY_MS + 3000, to: DAY_MS + 3001, reason, yieldMs: 9.5, freed },
    { from: DAY_MS + 4000, to: null, reason, yieldMs: null, freed: null },
  ]);
  expect(ledger.pauses(DAY_MS + 2000, DAY_MS + 3500, 10)).toHaveLength(1);
  expect(ledger.pauses(DAY_MS, DAY_END, 1)).toMatchObject([{ from: DAY_MS + 4000 }]);
  expect((await ledger.verify()).ok).toBe(true);
});
