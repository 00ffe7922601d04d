import type { MessageRef } from '../../core/contract/messages.ts';
import type { DaySpan, Snapshot } from '../../core/contract/snapshot.ts';

/** A stretch as it is drawn: one or several spans that can't be told apart at the size of the screen. Times in ms since 1970. */
export interface Segment {
  kind: DaySpan['kind'];
  from: number;
  to: number;
  reason: MessageRef | null;
}

const MAX_SEGMENTS = 240;
const TOUCHING_MS = 1000;

/**
 * The day's spans as segments to draw and walk through: in order, within the day, touching ones of one kind and reason made one; where
 * they are still more than can be told apart, the shortest gaps and stretches are absorbed first.
 */
export function daySegments(day: Snapshot['day']): Segment[] {
  const spans = day.spans
    .map(({ from, to, kind, reason }) => ({ kind, reason, from: Math.max(from, day.start), to: Math.min(to, day.end) }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => a.from - b.from);
  let segments = coalesce(spans, TOUCHING_MS);
  for (let toleranceMs = 2 * TOUCHING_MS; segments.length > MAX_SEGMENTS; toleranceMs *= 2) segments = coalesce(segments, toleranceMs);
  return segments;
}

function coalesce(segments: readonly Segment[], toleranceMs: number): Segment[] {
  const merged: Segment[] = [];
  for (const segment of segments) {
    const last = merged.at(-1);
    const near = last !== undefined && segment.from - last.to <= toleranceMs;
    const alike = last?.kind === segment.kind && (toleranceMs > TOUCHING_MS || last.reason?.key === segment.reason?.key);
    const tiny = toleranceMs > TOUCHING_MS && segment.to - segment.from < toleranceMs;
    if (near && (alike || tiny)) merged[merged.length - 1] = { ...last, to: Math.max(last.to, segment.to) };
    else merged.push({ ...segment });
  }
  return merged;
}

export interface DaySummary {
  workedMs: number;
  asideMs: number;
  asideCount: number;
}

/** What the day came to, from the spans themselves. */
export function daySummary(day: Snapshot['day']): DaySummary {
  const within = coalesce(
    day.spans
      .map((span) => ({ ...span, from: Math.max(span.from, day.start), to: Math.min(span.to, day.end) }))
      .filter(({ from, to }) => from < to)
      .sort((a, b) => a.from - b.from),
    TOUCHING_MS,
  );
  const sum = (kind: DaySpan['kind']): number =>
    within.filter((span) => span.kind === kind).reduce((ms, span) => ms + span.to - span.from, 0);
  return { workedMs: sum('worked'), asideMs: sum('aside'), asideCount: within.filter((span) => span.kind === 'aside').length };
}

/** Local midnight, 6, 12 and 18 o'clock, and the end: also right on the days on which the clocks change. */
export function dayHours(day: { start: number; end: number }): Array<{ at: number; fraction: number }> {
  const hours = [0, 6, 12, 18].map((hour) => {
    const date = new Date(day.start);
    return hour === 0 ? day.start : date.setHours(hour, 0, 0, 0);
  });
  return [...hours, day.end].map((at) => ({ at, fraction: (at - day.start) / (day.end - day.start) }));
}
