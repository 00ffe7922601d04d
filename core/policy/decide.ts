import { type MessageRef, ref } from '../contract/messages.ts';
import {
  type Decision,
  type DeviceId,
  type GpuSignals,
  type ManualOrder,
  RULE_NAMES,
  type RuleName,
  type Signals,
} from '../contract/policy.ts';
import type { Rules } from '../contract/rules.ts';
import { type Controls, dutyOf } from './decide-duty.ts';
import { idleMsNow, isInUse, RULES } from './decide-rule.ts';

/** A rule that says no, or said so a moment ago. */
interface Hold {
  reason: MessageRef;
  /** Since when it says yes without a break, on the steady clock; null: it doesn't. */
  clearSince: number | null;
  /** When it ends by itself, on the steady clock; null: unknown. */
  endsAt: number | null;
}
type Holds = Partial<Record<RuleName, Hold>>;

/** What is remembered of a device from one decision to the next: what keeps it from flapping. */
interface DeviceMemory {
  holds: Holds;
  controls: Controls;
}
export type Memory = Partial<Record<DeviceId, DeviceMemory>>;

export interface Decided {
  decisions: Decision[];
  memory: Memory;
  /** What is left of the user's order; null once it is over. */
  manual: ManualOrder | null;
  /** When to decide again at the latest, on the steady clock, though no signal changes. */
  wakeAt: number;
}

/** The wall clock may be set, and readings grow old: so often it is looked anyway. */
const LOOK_AGAIN_MS = 15_000;

/**
 * What to do with each device, and why. Pure: the same signals, rules and memory give the same decision. A pause comes at once; work goes on
 * when every rule that held has said yes for as long as it asks for.
 */
export function decide(signals: Signals, rules: Rules, memory: Memory, devices: readonly DeviceId[]): Decided {
  const manual = remainingOrder(signals, rules);
  const now = { ...signals, manual };
  const next: Memory = {};
  let wakeAt = now.steadyMs + LOOK_AGAIN_MS;
  if (manual?.order === 'start') wakeAt = Math.min(wakeAt, manual.until);
  const idleMs = idleMsNow(now);
  if (idleMs !== null && idleMs < rules.idle.afterMs) wakeAt = Math.min(wakeAt, now.steadyMs + rules.idle.afterMs - idleMs);
  const decisions = devices.map((device) => {
    const gpu = device === 'cpu' ? null : (now.gpus[device] ?? null);
    const before = memory[device];
    const holds = holdsOf(now, rules, gpu, before?.holds ?? {});
    for (const { endsAt } of Object.values(holds)) if (endsAt !== null) wakeAt = Math.min(wakeAt, endsAt);
    const overrides = manual?.order === 'start' ? manual.overrides : [];
    const held = RULE_NAMES.filter((name) => holds[name] !== undefined);
    const overridden = held.filter((name) => overrides.includes(name));
    const blocking = held.filter((name) => !overrides.includes(name));
    if (blocking.length > 0) {
      next[device] = { holds, controls: before?.controls ?? { heat: null, power: null } };
      return { device, act: 'pause', duty: 0, rules: held, overridden, ...pauseOf(blocking, holds, now, rules) } satisfies Decision;
    }
    const { duty, reason, controls } = dutyOf(now, rules, gpu, before?.controls, overrides);
    next[device] = { holds, controls };
    const act = duty < 1 ? 'throttle' : 'run';
    if (overridden.length === 0 || manual?.order !== 'start') {
      return { device, act, duty, reason, rules: held, overridden, until: null, graceMs: 0 } satisfies Decision;
    }
    const until = wallTime(manual.until, now);
    return { device, act, duty, reason: startedReason(overridden, until), rules: held, overridden, until, graceMs: 0 } satisfies Decision;
  });
  return { decisions, memory: next, manual, wakeAt: Math.max(wakeAt, now.steadyMs) };
}

function remainingOrder(signals: Signals, rules: Rules): ManualOrder | null {
  const { manual, steadyMs } = signals;
  if (manual !== null && 'until' in manual && manual.until !== null && manual.until <= steadyMs) return null;
  return manual?.order === 'pause-until-idle' && isInUse(signals, rules) === false ? null : manual;
}

function holdsOf(signals: Signals, rules: Rules, gpu: GpuSignals | null, before: Holds): Holds {
  const holds: Holds = {};
  for (const name of RULE_NAMES) {
    const verdict = RULES[name].judge(signals, rules, gpu);
    const held = before[name];
    if (verdict.says === 'no') {
      const { reason, until = null } = verdict;
      holds[name] = { reason, clearSince: null, endsAt: until === null ? null : signals.steadyMs + Math.max(0, until - signals.now) };
    } else if (held !== undefined && verdict.says === 'between') {
      holds[name] = { ...held, clearSince: null, endsAt: null };
    } else if (held !== undefined && verdict.says === 'yes') {
      const clearSince = Math.min(held.clearSince ?? signals.steadyMs, signals.steadyMs);
      const endsAt = clearSince + RULES[name].resumeAfterMs(rules);
      if (endsAt > signals.steadyMs) holds[name] = { ...held, clearSince, endsAt };
    }
  }
  return holds;
}

/** Of several that hold, one that still says no is told before one that is only being waited out. */
function pauseOf(
  blocking: readonly RuleName[],
  holds: Holds,
  signals: Signals,
  rules: Rules,
): Pick<Decision, 'reason' | 'until' | 'graceMs'> {
  const all = blocking.map((name) => ({ name, ...(holds[name] as Hold) }));
  const last = all.reduce((a, b) => ((b.endsAt ?? Number.POSITIVE_INFINITY) > (a.endsAt ?? Number.POSITIVE_INFINITY) ? b : a));
  const told = all.find(({ clearSince }) => clearSince === null) ?? last;
  return {
    reason: told.clearSince === null ? told.reason : overReason(told),
    until: last.endsAt === null || all.some(({ endsAt }) => endsAt === null) ? null : wallTime(last.endsAt, signals),
    graceMs: graceOf(blocking, signals, rules),
  };
}

function graceOf(blocking: readonly RuleName[], { manual }: Signals, rules: Rules): number | null {
  if ((['suspended', 'measuring', 'temperature'] as const).some((name) => blocking.includes(name))) return 0;
  if (!blocking.includes('manual')) return rules.yielding.finishWithinMs;
  if (manual?.order !== 'finish') return 0;
  return blocking.length === 1 ? null : rules.yielding.finishWithinMs;
}

function overReason({ name, reason }: Hold & { name: RuleName }): MessageRef {
  return ref('policy.over', { rule: name, name: reason.params.name ?? '' });
}

function startedReason(overridden: readonly RuleName[], until: number): MessageRef {
  return ref('policy.started', { rule: overridden[0] as RuleName, more: overridden.length - 1, until });
}

function wallTime(steady: number, { now, steadyMs }: Signals): number {
  return Math.round(now + steady - steadyMs);
}
