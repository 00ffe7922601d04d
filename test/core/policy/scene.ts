import type { Signals as SignalsType } from '../../../core/contract/policy.ts';
import { Signals } from '../../../core/contract/policy.ts';
import { Rules } from '../../../core/contract/rules.ts';
import { type Decided, decide, type Memory } from '../../../core/policy/decide.ts';

export const GPU = '0000:01:00.0';
/** A Saturday noon in UTC. */
export const NOON = Date.UTC(2026, 10, 21, 12);

/** Bare values of readings: what is here was read just now. */
export type Told = Record<string, unknown> & { gpu?: Record<string, unknown> };

export function rulesOf(change: Parameters<typeof Rules.parse>[0] = {}): Rules {
  return Rules.parse(change);
}

/** Signals at a time on the steady clock, with readings taken just then. */
export function signalsAt(steadyMs: number, told: Told = {}, rest: Partial<SignalsType> = {}): SignalsType {
  const reading = (value: unknown) => (value === undefined ? null : { value, at: steadyMs });
  const { gpu = {}, ...machine } = told;
  return Signals.parse({
    now: NOON + Math.round(steadyMs),
    utcOffsetMinutes: 0,
    steadyMs,
    ...Object.fromEntries(Object.entries(machine).map(([name, value]) => [name, reading(value)])),
    gpus: { [GPU]: Object.fromEntries(Object.entries(gpu).map(([name, value]) => [name, reading(value)])) },
    ...rest,
  });
}

/** One machine over time: each call decides from what went before. */
export function machine(rules: Rules) {
  let memory: Memory = {};
  return (signals: SignalsType): Decided & { cpu: Decided['decisions'][number]; gpu: Decided['decisions'][number] } => {
    const decided = decide(signals, rules, memory, ['cpu', GPU]);
    memory = decided.memory;
    const [cpu, gpu] = decided.decisions;
    if (cpu === undefined || gpu === undefined) throw new Error('no decision');
    return { ...decided, cpu, gpu };
  };
}
