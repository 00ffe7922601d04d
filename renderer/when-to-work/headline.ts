import { message } from '../../core/contract/messages.ts';
import type { Decision, PauseRecord, PolicyStatus } from '../../core/contract/policy.ts';
import type { Rules } from '../../core/contract/rules.ts';

/** When work is done, by these rules, in a sentence. */
export function rulesTitle({ preset }: Rules): string {
  return message(preset === null ? 'when.title.own' : `when.title.${preset}`);
}

/** The decision that a person is told of: the one for what works least, since it says what stands in the way. */
export function toldDecision({ decisions }: PolicyStatus): Decision | undefined {
  return [...decisions].sort((one, other) => one.duty - other.duty)[0];
}

/** How often it stepped aside since `from`, and how fast it was gone on average: only pauses in which something ran count for the time. */
export function asideSince(pauses: readonly PauseRecord[], from: number): { count: number; yieldMs: number | null } {
  const since = pauses.filter((pause) => pause.from >= from);
  const yields = since.flatMap(({ yieldMs }) => (yieldMs === null ? [] : [yieldMs]));
  return { count: since.length, yieldMs: yields.length === 0 ? null : yields.reduce((sum, ms) => sum + ms, 0) / yields.length };
}
