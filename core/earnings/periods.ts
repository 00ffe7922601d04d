import { MAX_EARNINGS_ROWS } from '../contract/earnings.ts';
import { HearthlendError } from '../contract/errors.ts';

/** A stretch of time, in ms since 1970: `to` is not part of it. */
export interface Period {
  from: number;
  to: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const QUARTER_MS = HOUR_MS / 4;

interface KnownZone {
  format: Intl.DateTimeFormat;
  /** By fortnight since 1970: the offset at its start. */
  offsets: Map<number, number>;
}

/** No zone has changed its clocks and changed them back within such a time: where both ends have one offset, all between has it. */
const FORTNIGHT_MS = 14 * DAY_MS;
/** Zones are few, and who asks for many is not to fill the memory. */
const MAX_ZONES = 16;
const zones = new Map<string, KnownZone>();

/** What a zone's clocks show at a time, as if it were UTC: ms since 1970. @throws ZONE_UNKNOWN */
export function localTime(zone: string, at: number): number {
  let known = zones.get(zone);
  if (known === undefined) {
    known = { format: formatOf(zone), offsets: new Map() };
    if (zones.size >= MAX_ZONES) zones.clear();
    zones.set(zone, known);
  }
  const fortnight = Math.floor(at / FORTNIGHT_MS);
  const [offset, next] = [offsetAt(known, fortnight), offsetAt(known, fortnight + 1)];
  return offset === next ? at + offset : shown(known.format, at);
}

function offsetAt({ format, offsets }: KnownZone, fortnight: number): number {
  let offset = offsets.get(fortnight);
  if (offset === undefined) {
    const at = fortnight * FORTNIGHT_MS;
    offset = shown(format, at) - at;
    offsets.set(fortnight, offset);
  }
  return offset;
}

function shown(format: Intl.DateTimeFormat, at: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(at)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (at - Math.floor(at / 1000) * 1000);
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const numeric = 'numeric' as const;
  const fields = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric };
  try {
    return new Intl.DateTimeFormat('en-US', { ...fields, timeZone: zone, hourCycle: 'h23', calendar: 'gregory', numberingSystem: 'latn' });
  } catch (cause) {
    throw new HearthlendError('ZONE_UNKNOWN', { zone }, { cause });
  }
}

/** When a zone's clocks show this: the first such time, or where it is left out in spring, the time to which they go on. */
function whenLocal(zone: string, local: number): number {
  const offset = (at: number) => localTime(zone, at) - at;
  // Of the offsets a day before and after, one is right.
  const [before, after] = [local - offset(local - DAY_MS), local - offset(local + DAY_MS)].sort((a, b) => a - b) as [number, number];
  for (const at of [before, after]) if (localTime(zone, at) === local) return at;
  return after;
}

/** Start of the day of a zone that a time lies in. */
export function dayStart(zone: string, at: number): number {
  return whenLocal(zone, Math.floor(localTime(zone, at) / DAY_MS) * DAY_MS);
}

/** Start of the day after the one that starts then: it has 23 to 25 hours. */
export function nextDay(zone: string, start: number): number {
  return whenLocal(zone, (Math.floor((localTime(zone, start) + HOUR_MS) / DAY_MS) + 1) * DAY_MS);
}

/** Start of the day so many days before the one that starts then. */
export function daysBefore(zone: string, start: number, days: number): number {
  return whenLocal(zone, (Math.floor((localTime(zone, start) + HOUR_MS) / DAY_MS) - days) * DAY_MS);
}

/** 0 to 23, as a zone's clocks show it. */
export function hourOfDay(zone: string, at: number): number {
  return new Date(localTime(zone, at)).getUTCHours();
}

function hourStart(zone: string, at: number): number {
  const local = localTime(zone, at);
  return at - (local - Math.floor(local / HOUR_MS) * HOUR_MS);
}

/**
 * The whole hours or days of a zone that a time touches, oldest first. @throws EARNINGS_RANGE for none or too many, ZONE_UNKNOWN
 */
export function periodsOf(by: 'hour' | 'day', { from, to }: Period, zone: string): Period[] {
  const shortest = by === 'hour' ? HOUR_MS : DAY_MS - HOUR_MS;
  if (!(from < to) || (to - from) / shortest > MAX_EARNINGS_ROWS + 2)
    throw new HearthlendError('EARNINGS_RANGE', { most: MAX_EARNINGS_ROWS });
  const periods: Period[] = [];
  let start = by === 'hour' ? hourStart(zone, from) : dayStart(zone, from);
  while (start < to) {
    const next = by === 'day' ? nextDay(zone, start) : Math.max(hourStart(zone, start + HOUR_MS), start + QUARTER_MS);
    periods.push({ from: start, to: next });
    start = next;
  }
  if (periods.length > MAX_EARNINGS_ROWS) throw new HearthlendError('EARNINGS_RANGE', { most: MAX_EARNINGS_ROWS });
  return periods;
}

/** The whole quarters of an hour that a time touches. @throws EARNINGS_RANGE */
export function wholeQuarters({ from, to }: Period): Period {
  if (!(from < to)) throw new HearthlendError('EARNINGS_RANGE', { most: MAX_EARNINGS_ROWS });
  return { from: Math.floor(from / QUARTER_MS) * QUARTER_MS, to: Math.ceil(to / QUARTER_MS) * QUARTER_MS };
}
