import type { PracticeLimits } from './store.ts';

/** Practice done on a day. */
export interface PracticeSpent {
  accepted: number;
  runMs: number;
}

/** The local day that a time (ms since 1970) falls on, as `YYYY-MM-DD` and [start, end) in ms. Days of 23 and 25 hours are what they are. */
export function localDay(at: number): { name: string; start: number; end: number } {
  const date = new Date(at);
  const start = new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const end = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 1);
  const two = (value: number) => String(value).padStart(2, '0');
  const name = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return { name, start: start.getTime(), end: end.getTime() };
}

/** What is left of a day's practice. Where the time is over no shard is left, and the other way round. */
export function practiceLeft(limits: PracticeLimits, spent: PracticeSpent): { acceptedToday: number; shardsLeft: number; msLeft: number } {
  const shardsLeft = Math.max(limits.shards - spent.accepted, 0);
  const msLeft = Math.max(Math.ceil(limits.ms - spent.runMs), 0);
  const over = shardsLeft === 0 || msLeft === 0;
  return { acceptedToday: spent.accepted, shardsLeft: over ? 0 : shardsLeft, msLeft: over ? 0 : msLeft };
}

/** The day's limits with `shards` more. Each brings the time that it may take at most, so that the time can't end first. */
export function extendedLimits(limits: PracticeLimits, spent: PracticeSpent, shards: number, shardMs: number): PracticeLimits {
  const { shardsLeft, msLeft } = practiceLeft(limits, spent);
  return { shards: spent.accepted + shardsLeft + shards, ms: Math.ceil(spent.runMs) + msLeft + shards * shardMs };
}
