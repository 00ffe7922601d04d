import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AnyEvent } from '../../../core/contract/rpc.ts';
import type { Snapshot } from '../../../core/contract/snapshot.ts';
import { dayBounds } from '../../../core/screen/day.ts';
import { Screen } from '../../../core/screen/screen.ts';
import { practising } from '../../fakes/snapshots.ts';

function screenOf(snapshot: Snapshot) {
  const read = Object.fromEntries(Object.entries(snapshot).map(([field, value]) => [field, vi.fn(() => value)]));
  return { screen: new Screen(read as unknown as ConstructorParameters<typeof Screen>[0]), read };
}

describe('the screen', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells fields that change together once, with their values at that time', () => {
    const { screen, read } = screenOf(practising());
    const events: AnyEvent[] = [];
    screen.listen((event) => events.push(event));
    screen.touch('load', 'now');
    screen.touch('load');
    expect(events).toEqual([]);
    vi.runAllTimers();
    expect(events).toHaveLength(1);
    expect(Object.keys(events[0]?.data ?? {}).sort()).toEqual(['load', 'now']);
    expect(read.load).toHaveBeenCalledTimes(1);
  });

  it('reads nothing while nobody watches', () => {
    const { screen, read } = screenOf(practising());
    screen.touch('day', 'earnings');
    vi.runAllTimers();
    expect(read.day).not.toHaveBeenCalled();
  });

  it('stops telling whoever left', () => {
    const { screen } = screenOf(practising());
    const events: AnyEvent[] = [];
    screen.listen((event) => events.push(event))();
    screen.touch('state');
    screen.flush();
    expect(events).toEqual([]);
  });
});

describe('the bounds of a day', () => {
  it('hold the moment they are asked for, and begin and end at midnight', () => {
    for (const now of [Date.UTC(2026, 2, 29, 1, 30), Date.UTC(2026, 9, 25, 1, 30), Date.UTC(2026, 6, 1, 12)]) {
      const { start, end } = dayBounds(now);
      expect(start).toBeLessThanOrEqual(now);
      expect(end).toBeGreaterThan(now);
      expect(new Date(start).getHours()).toBe(0);
      expect(new Date(end).getHours()).toBe(0);
      expect(end - start).toBeGreaterThanOrEqual(23 * 3_600_000);
      expect(end - start).toBeLessThanOrEqual(25 * 3_600_000);
    }
  });
});
