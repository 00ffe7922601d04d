import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DaySpan } from '../../core/contract/snapshot.ts';
import { dayHours, daySegments, daySummary } from '../../renderer/home/day-segments.ts';

const minuteMs = 60_000;
const day = { start: 0, end: 1440 * minuteMs };
const worked = (from: number, to: number): DaySpan => ({ from: from * minuteMs, to: to * minuteMs, kind: 'worked', reason: null });
const aside = (from: number, to: number): DaySpan => ({ ...worked(from, to), kind: 'aside' });

test('touching stretches of one kind and reason are one', () => {
  const segments = daySegments({ ...day, spans: [worked(5, 10), worked(0, 5), aside(10, 12), worked(12, 13)] });
  expect(segments.map(({ kind, from, to }) => [kind, from / minuteMs, to / minuteMs])).toEqual([
    ['worked', 0, 10],
    ['aside', 10, 12],
    ['worked', 12, 13],
  ]);
});

test('stretches aside for different reasons stay apart', () => {
  const because = (span: DaySpan, key: 'reason.paused-by-you' | 'reason.disk-full'): DaySpan => ({ ...span, reason: { key, params: {} } });
  const spans = [because(aside(0, 5), 'reason.paused-by-you'), because(aside(5, 9), 'reason.disk-full')];
  expect(daySegments({ ...day, spans })).toHaveLength(2);
});

test('what reaches over the edges of the day is cut there', () => {
  expect(daySegments({ ...day, spans: [worked(-60, 10), worked(1430, 1500), worked(1500, 1600)] })).toMatchObject([
    { from: 0, to: 10 * minuteMs },
    { from: 1430 * minuteMs, to: day.end },
  ]);
});

test('the summary adds up the stretches and counts the times aside', () => {
  expect(daySummary({ ...day, spans: [worked(0, 30), aside(30, 40), worked(40, 60), aside(70, 75)] })).toEqual({
    workedMs: 50 * minuteMs,
    asideMs: 15 * minuteMs,
    asideCount: 2,
  });
});

test('a day of many short stretches shows what took most of each part of it', () => {
  const short = Array.from({ length: 1000 }, (_, index) => {
    const from = index * 1.2;
    const morning = index < 500;
    return [
      morning ? worked(from, from + 0.8) : aside(from, from + 0.8),
      morning ? aside(from + 0.8, from + 1.2) : worked(from + 0.8, from + 1.2),
    ];
  }).flat();
  const segments = daySegments({ ...day, spans: short });
  expect(segments.map(({ kind, from, to, ms }) => [kind, from / minuteMs, to / minuteMs, Math.round(ms / minuteMs)])).toEqual([
    ['worked', 0, 600, 400],
    ['aside', 600, 1200, 400],
  ]);
});

test('however the day went, the bar has at most 240 stretches, in order, apart, within the day', () => {
  const stretch = fc.record({
    gap: fc.double({ min: 0, max: 5, noNaN: true }),
    length: fc.double({ min: 0.01, max: 5, noNaN: true }),
    working: fc.boolean(),
  });
  const spansOf = (stretches: { gap: number; length: number; working: boolean }[]): DaySpan[] => {
    let at = -30;
    return stretches.map(({ gap, length, working }) => {
      const from = at + gap;
      at = from + length;
      return working ? worked(from, at) : aside(from, at);
    });
  };
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 1000, size: 'max' }), (stretches) => {
      const spans = spansOf(stretches);
      const segments = daySegments({ ...day, spans });
      expect(segments.length).toBeLessThanOrEqual(240);
      const { workedMs, asideMs } = daySummary({ ...day, spans });
      expect(segments.reduce((sum, segment) => sum + segment.ms, 0)).toBeLessThanOrEqual(workedMs + asideMs + 1);
      for (const [index, segment] of segments.entries()) {
        expect(segment.from).toBeLessThan(segment.to);
        expect(segment.from).toBeGreaterThanOrEqual(index === 0 ? day.start : (segments[index - 1]?.from ?? 0));
        expect(segment.to).toBeLessThanOrEqual(day.end);
      }
    }),
    { numRuns: 50 },
  );
});

test('the hours under the bar are local ones, and span the day', () => {
  const start = new Date(2026, 5, 1).getTime();
  const hours = dayHours({ start, end: new Date(2026, 5, 2).getTime() });
  expect(hours.map(({ at }) => new Date(at).getHours())).toEqual([0, 6, 12, 18, 0]);
  expect(hours.map(({ fraction }) => fraction)).toEqual([0, 0.25, 0.5, 0.75, 1]);
});
