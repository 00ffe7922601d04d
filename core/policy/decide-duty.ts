import { type MessageRef, ref } from '../contract/messages.ts';
import type { GpuSignals, RuleName, Signals } from '../contract/policy.ts';
import type { Rules } from '../contract/rules.ts';
import { isInUse, known } from './decide-rule.ts';
import { inWindows, minuteOfWeek } from './decide-week.ts';
import { type Control, control, HEAT_GAINS, POWER_GAINS } from './throttle.ts';

/** The controllers of one device. */
export interface Controls {
  heat: Control | null;
  power: Control | null;
}

/** A GPU that slows itself down for heat is at least so much too hot, whatever its sensor says. */
const THROTTLED_ERROR_C = -5;

interface Cap {
  duty: number;
  reason: (percent: number) => MessageRef;
}

/** The share of the time in which a device may compute, with the reason of what allows least. */
export function dutyOf(
  signals: Signals,
  rules: Rules,
  gpu: GpuSignals | null,
  before: Controls | undefined,
  overrides: readonly RuleName[],
): { duty: number; reason: MessageRef; controls: Controls } {
  const controls = {
    heat: heatControl(signals, rules, gpu, before?.heat ?? null),
    power: powerControl(signals, rules, before?.power ?? null),
  };
  const caps: Cap[] = [{ duty: rules.limits.duty, reason: (percent) => ref('policy.duty', { percent }) }];
  if (rules.idle.whenInUse === 'throttle' && !overrides.includes('idle')) {
    const inUse = isInUse(signals, rules);
    const key = inUse === null ? 'policy.duty.idle-unknown' : 'policy.duty.idle';
    if (inUse !== false) caps.push({ duty: rules.idle.duty, reason: (percent) => ref(key, { percent }) });
  }
  const { quiet, temperature, power } = rules;
  if (quiet.duty > 0 && !overrides.includes('quiet') && inWindows(quiet.windows, minuteOfWeek(signals.now, signals.utcOffsetMinutes))) {
    caps.push({ duty: quiet.duty, reason: (percent) => ref('policy.duty.quiet', { percent }) });
  }
  if (controls.heat !== null && temperature.targetC !== null) {
    const degrees = temperature.targetC;
    caps.push({ duty: controls.heat.duty, reason: () => ref('policy.duty.temperature', { degrees }) });
  }
  if (controls.power !== null && power.maxWatts !== null) {
    const watts = power.maxWatts;
    caps.push({ duty: controls.power.duty, reason: () => ref('policy.duty.power', { watts }) });
  }
  const least = caps.reduce((a, b) => (b.duty < a.duty ? b : a));
  const duty = Math.round(least.duty * 100) / 100;
  return { duty, reason: duty < 1 ? least.reason(Math.round(duty * 100)) : ref('policy.allowed'), controls };
}

function heatControl(signals: Signals, { temperature }: Rules, gpu: GpuSignals | null, before: Control | null): Control | null {
  if (gpu === null || temperature.targetC === null) return null;
  const degrees = known(gpu.temperatureC, signals);
  const throttled = known(gpu.throttled, signals)?.thermal === true;
  if (degrees === null && !throttled) return before === null ? null : control(before, null, signals.steadyMs, HEAT_GAINS);
  const error = degrees === null ? 0 : temperature.targetC - degrees;
  return control(before, throttled ? Math.min(error, THROTTLED_ERROR_C) : error, signals.steadyMs, HEAT_GAINS);
}

function powerControl(signals: Signals, { power }: Rules, before: Control | null): Control | null {
  if (power.maxWatts === null) return null;
  const watts = known(signals.powerWatts, signals);
  if (watts === null) return before;
  return control(before, (power.maxWatts - watts) / power.maxWatts, signals.steadyMs, POWER_GAINS);
}
