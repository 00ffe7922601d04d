import { message } from '../../core/contract/messages.ts';

const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

/** Local time of day, 14:05. */
export function timeText(atMs: number): string {
  return clock.format(atMs);
}

/** A length of time in the two units that matter: 9 h 50 min, 14 min, 8 s. */
export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return message('screen.duration.seconds', { seconds });
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return message('screen.duration.minutes', { minutes });
  return message('screen.duration.hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

const day = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', year: 'numeric' });

/** Local day, Nov 21, 2026. */
export function dayText(atMs: number): string {
  return day.format(atMs);
}

/** Local day and time of day. */
export function dateTimeText(atMs: number): string {
  return message('screen.day-and-time', { day: day.format(atMs), time: clock.format(atMs) });
}
