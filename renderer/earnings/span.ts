import type { EarningsQuery } from '../../core/contract/earnings.ts';

export const SPANS = ['day', 'week', 'month', 'year'] as const;
export type Span = (typeof SPANS)[number];
export const SIDES = ['time', 'network', 'model', 'device'] as const;
export type Side = (typeof SIDES)[number];

const HOUR_MS = 3_600_000;
const DAYS: Record<Span, number> = { day: 1, week: 7, month: 30, year: 365 };

/** What is asked for a length of time up to now, seen from a side: hours of a day or a week's days, and so on. Pure. */
export function queryFor(span: Span, side: Side, now: number, zone: string): EarningsQuery {
  const by = side !== 'time' ? side : span === 'day' ? 'hour' : 'day';
  // The hour, or day, of now is the last of so many.
  const from = span === 'day' ? now - 23 * HOUR_MS : now - (DAYS[span] - 1) * 24 * HOUR_MS;
  return { from: Math.max(0, from), to: now + 1, by, zone };
}

/** This computer's time zone, by its name. */
export function hereZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}
