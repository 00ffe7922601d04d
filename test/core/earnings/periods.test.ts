import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dayStart, daysBefore, hourOfDay, localTime, nextDay, periodsOf, wholeQuarters } from '../../../core/earnings/periods.ts';

const HOUR_MS = 3_600_000;
const zones = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'America/Sao_Paulo',
  'Asia/Kolkata',
);
const times = fc.integer({ min: Date.UTC(2015, 0, 1), max: Date.UTC(2030, 0, 1) });
/** As the system's own calendar has it. */
const shown = (zone: string, at: number) =>
  new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }).format(at);

test("a zone's days and hours follow each other without gaps, start when its clocks say so, and hold whole quarters of an hour", () => {
  fc.assert(
    fc.property(zones, times, fc.integer({ min: 1, max: 20 }), (zone, at, length) => {
      const days = periodsOf('day', { from: at, to: at + length * 24 * HOUR_MS }, zone);
      const hours = periodsOf('hour', { from: at, to: at + length * HOUR_MS }, zone);
      for (const periods of [days, hours]) {
        expect(periods[0]?.from).toBeLessThanOrEqual(at);
        expect(periods[0]?.to).toBeGreaterThan(at);
        periods.forEach(({ from, to }, index) => {
          expect(from % (HOUR_MS / 4)).toBe(0);
          expect(to).toBeGreaterThan(from);
          if (index > 0) expect(from).toBe(periods[index - 1]?.to);
        });
      }
      for (const { from, to } of days) {
        // In some zones a day in spring begins at one o'clock.
        expect(shown(zone, from).slice(11)).toMatch(/^0[01]:00:00$/);
        expect((to - from) / HOUR_MS).toBeGreaterThanOrEqual(23);
        expect((to - from) / HOUR_MS).toBeLessThanOrEqual(25);
        expect(shown(zone, from).slice(0, 10)).toBe(shown(zone, to - 1).slice(0, 10));
      }
    }),
    { numRuns: 150 },
  );
});

test('local time is what the system shows, and days are counted back and forth alike', () => {
  fc.assert(
    fc.property(zones, times, fc.integer({ min: 1, max: 60 }), (zone, at, days) => {
      expect(new Date(localTime(zone, at)).toISOString().slice(0, 19).replace('T', ' ')).toBe(shown(zone, at));
      expect(hourOfDay(zone, at)).toBe(Number(shown(zone, at).slice(11, 13)));
      const start = dayStart(zone, at);
      let later = start;
      for (let day = 0; day < days; day += 1) later = nextDay(zone, later);
      expect(daysBefore(zone, later, days)).toBe(start);
      expect(daysBefore(zone, start, -days)).toBe(later);
    }),
    { numRuns: 150 },
  );
});

test('a time that is empty or too long is refused, and so is a zone that nobody knows', () => {
  const code = (name: string) => expect.objectContaining({ code: name });
  expect(() => periodsOf('day', { from: 5, to: 5 }, 'UTC')).toThrow(code('EARNINGS_RANGE'));
  expect(() => periodsOf('hour', { from: 0, to: Number.MAX_SAFE_INTEGER }, 'UTC')).toThrow(code('EARNINGS_RANGE'));
  expect(() => periodsOf('hour', { from: 0, to: 1001 * HOUR_MS }, 'UTC')).toThrow(code('EARNINGS_RANGE'));
  expect(periodsOf('hour', { from: 0, to: 1000 * HOUR_MS }, 'UTC')).toHaveLength(1000);
  expect(() => wholeQuarters({ from: 5, to: 4 })).toThrow(code('EARNINGS_RANGE'));
  expect(wholeQuarters({ from: 1, to: HOUR_MS + 1 })).toEqual({ from: 0, to: 1.25 * HOUR_MS });
  expect(() => localTime('Mars/Base', 0)).toThrow(code('ZONE_UNKNOWN'));
});
