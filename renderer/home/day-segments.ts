import type { DaySpan, Snapshot } from '../../core/contract/snapshot.ts';

/** A stretch as it is drawn. Times in ms since 1970; `ms` is how much of it was really of its kind. */
export interface Segment extends DaySpan {
  ms: number;
}

/** More than this many can't be told apart on a screen, nor walked through. */
const MAX_SEGMENTS = 240;
const TOUCHING_MS = 1000;

/**
 * The day's spans as stretches to draw and walk through: in order, within the day, touching ones of one kind and reason made one. A day
 * with too many is divided into equal cells, each of the kind that took most of it.
 */
export function daySegments(day: Snapshot['day']): Segment[] {
  const segments = joined(within(day));
  return segments.length <= MAX_SEGMENTS ? segments : joined(cells(day, segments));
}

function within(day: Snapshot['day']): Segment[] {
  return day.spans
    .map((span) => ({ ...span, from: Math.max(span.from, day.start), to: Math.min(span.to, day.end) }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => a.from - b.from)
    .map((span) => ({ ...span, ms: span.to - span.from }));
}

function joined(segments: readonly Segment[]): Segment[] {
  const merged: Segment[] = [];
  for (const segment of segments) {
    const last = merged.at(-1);
    const alike = last?.kind === segment.kind && last.reason?.key === segment.reason?.key;
    if (alike && segment.from - last.to <= TOUCHING_MS) {
      merged[merged.length - 1] = { ...last, to: Math.max(last.to, segment.to), ms: last.ms + segment.ms };
    } else merged.push(segment);
  }
  return merged;
}

function cells(day: Snapshot['day'], segments: readonly Segment[]): Segment[] {
  const cellMs = (day.end - day.start) / MAX_SEGMENTS;
  const found: Segment[] = [];
  for (let index = 0; index < MAX_SEGMENTS; index += 1) {
    const from = day.start + index * cellMs;
    const to = from + cellMs;
    const parts = segments
      .map((segment) => ({ ...segment, ms: Math.min(segment.to, to) - Math.max(segment.from, from) }))
      .filter(({ ms }) => ms > 0);
    const total = (kind: DaySpan['kind']): number => parts.filter((part) => part.kind === kind).reduce((ms, part) => ms + part.ms, 0);
    const kind = total('worked') >= total('aside') ? 'worked' : 'aside';
    const longest = parts.filter((part) => part.kind === kind).sort((a, b) => b.ms - a.ms)[0];
    if (longest !== undefined) found.push({ kind, reason: longest.reason, from, to, ms: total(kind) });
  }
  return found;
}

export interface DaySummary {
  workedMs: number;
  asideMs: number;
  asideCount: number;
}

/** What the day came to, from the spans themselves. */
export function daySummary(day: Snapshot['day']): DaySummary {
  const segments = joined(within(day));
  const sum = (kind: DaySpan['kind']): number => segments.filter((each) => each.kind === kind).reduce((ms, each) => ms + each.ms, 0);
  return { workedMs: sum('worked'), asideMs: sum('aside'), asideCount: segments.filter((each) => each.kind === 'aside').length };
}

/** Local midnight, 6, 12 and 18 o'clock, and the end: also right on the days on which the clocks change. */
export function dayHours(day: { start: number; end: number }): Array<{ at: number; fraction: number }> {
  const hours = [0, 6, 12, 18].map((hour) => {
    const date = new Date(day.start);
    return hour === 0 ? day.start : date.setHours(hour, 0, 0, 0);
  });
  return [...hours, day.end].map((at) => ({ at, fraction: (at - day.start) / (day.end - day.start) }));
}
