import type { Window } from '../contract/rules.ts';

const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MINUTE_MS = 60_000;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
/** The first of January 1970 was a Thursday; days count from Sunday. */
const FIRST_WEEKDAY = 4;

/** The minute of the local week, from Sunday's midnight, with its fraction. */
export function minuteOfWeek(nowMs: number, utcOffsetMinutes: number): number {
  const local = nowMs + utcOffsetMinutes * MINUTE_MS;
  const day = Math.floor(local / DAY_MS);
  const weekday = (((day + FIRST_WEEKDAY) % 7) + 7) % 7;
  return weekday * DAY_MINUTES + (local - day * DAY_MS) / MINUTE_MS;
}

/** Whether this minute of the week lies in one of the windows. */
export function inWindows(windows: readonly Window[], minute: number): boolean {
  return windows.some(({ days, fromMinute, toMinute }) => {
    const length = lengthOf(fromMinute, toMinute);
    return days.some((day) => after(day * DAY_MINUTES + fromMinute, minute) < length);
  });
}

/** Minutes until the windows begin (`inside`) or end, as the clock runs now; null where they never do. */
export function minutesUntil(windows: readonly Window[], minute: number, inside: boolean): number | null {
  const edges = windows.flatMap(({ days, fromMinute, toMinute }) =>
    days.map((day) => (day * DAY_MINUTES + fromMinute + (inside ? 0 : lengthOf(fromMinute, toMinute))) % WEEK_MINUTES),
  );
  const waits = edges.filter((edge) => inWindows(windows, edge) === inside).map((edge) => after(minute, edge));
  return waits.length === 0 ? null : Math.min(...waits);
}

/** One that ends when it begins lasts a day. */
function lengthOf(fromMinute: number, toMinute: number): number {
  return toMinute > fromMinute ? toMinute - fromMinute : toMinute + DAY_MINUTES - fromMinute;
}

/** From one minute of the week on to the next time that it is the other. */
function after(from: number, to: number): number {
  return (((to - from) % WEEK_MINUTES) + WEEK_MINUTES) % WEEK_MINUTES;
}
