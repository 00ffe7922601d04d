import { type MessageRef, ref } from '../contract/messages.ts';
import type { GpuSignals, RuleName, Signals } from '../contract/policy.ts';
import { STALE_MS } from '../contract/policy.ts';
import type { Rules } from '../contract/rules.ts';
import { inWindows, minuteOfWeek, minutesUntil } from './decide-week.ts';

/**
 * What a rule says of the signals alone. `between`: neither bad enough to pause nor good enough to go on; `off`: nobody asked this rule. A reason
 * names the limit and not the reading: words that change every second are read by nobody.
 * `until` is ms since 1970, where it is known.
 */
type Verdict = { says: 'no'; reason: MessageRef; until?: number | null } | { says: 'yes' | 'between' | 'off' };

/** A rule: its verdict, how long it must say yes before work goes on, and what is told meanwhile. */
export interface Rule {
  judge(signals: Signals, rules: Rules, gpu: GpuSignals | null): Verdict;
  resumeAfterMs(rules: Rules): number;
}

const YES: Verdict = { says: 'yes' };
const BETWEEN: Verdict = { says: 'between' };
const OFF: Verdict = { says: 'off' };
const MINUTE_MS = 60_000;

/** A reading's value; null where it is unknown: not told, too old, or from a time that hasn't been yet. */
export function known<T>(reading: { value: T; at: number } | null, { steadyMs }: Signals): T | null {
  if (reading === null || reading.at > steadyMs || steadyMs - reading.at > STALE_MS) return null;
  return reading.value;
}

/** How long the user has been away by now; null where that can't be told. */
export function idleMsNow(signals: Signals): number | null {
  const idleMs = known(signals.idleMs, signals);
  return idleMs === null ? null : idleMs + signals.steadyMs - (signals.idleMs?.at ?? 0);
}

const seconds = (ms: number) => Math.round(ms / 1000);
const minutes = (ms: number) => Math.max(1, Math.round(ms / MINUTE_MS));
const percent = (share: number) => Math.round(share * 100);

/** No above one value, yes at or below another. */
function above(value: number, pauseAbove: number, resumeAt: number, reason: () => MessageRef): Verdict {
  if (value > pauseAbove) return { says: 'no', reason: reason() };
  return value <= resumeAt ? YES : BETWEEN;
}

function judgeManual(signals: Signals, rules: Rules): Verdict {
  const { manual, steadyMs, now } = signals;
  switch (manual?.order) {
    case 'pause': {
      if (manual.until === null) return { says: 'no', reason: ref('reason.paused-by-you') };
      const leftMs = manual.until - steadyMs;
      return leftMs > 0 ? { says: 'no', reason: ref('reason.paused-until'), until: Math.round(now + leftMs) } : OFF;
    }
    case 'pause-until-idle':
      if (isInUse(signals, rules) === false) return OFF;
      return { says: 'no', reason: ref('policy.manual.until-idle', { minutes: minutes(rules.idle.afterMs) }) };
    case 'finish':
      return { says: 'no', reason: ref('policy.manual.finish') };
    default:
      return OFF;
  }
}

/** Whether somebody uses the machine, by the idle rule's measure; null: unknown. */
export function isInUse(signals: Signals, { idle }: Rules): boolean | null {
  const idleMs = idleMsNow(signals);
  return idleMs === null ? null : idleMs < idle.afterMs;
}

function judgeIdle(signals: Signals, rules: Rules): Verdict {
  if (rules.idle.whenInUse !== 'pause') return OFF;
  const inUse = isInUse(signals, rules);
  if (inUse === null) return { says: 'no', reason: ref('policy.idle.unknown') };
  return inUse ? { says: 'no', reason: ref('policy.idle', { minutes: minutes(rules.idle.afterMs) }) } : YES;
}

function judgeLocked(signals: Signals, { locked }: Rules): Verdict {
  if (!locked.onlyWhenLocked) return OFF;
  const isLocked = known(signals.sessionLocked, signals);
  if (isLocked === null) return { says: 'no', reason: ref('policy.locked.unknown') };
  return isLocked ? YES : { says: 'no', reason: ref('policy.locked') };
}

function judgeFullScreen(signals: Signals, { fullScreen }: Rules): Verdict {
  if (!fullScreen.pause) return OFF;
  const name = known(signals.fullScreen, signals)?.name ?? null;
  if (name === null) return YES;
  return { says: 'no', reason: ref('policy.full-screen', { name, seconds: seconds(fullScreen.resumeAfterMs) }) };
}

function judgePrograms(signals: Signals, { programs }: Rules): Verdict {
  if (!programs.pause) return OFF;
  const running = known(signals.programs, signals) ?? [];
  const first = running[0];
  if (first === undefined) return YES;
  const more = new Set(running.map(({ name }) => name)).size - 1;
  return { says: 'no', reason: ref('policy.programs', { name: first.name, more, seconds: seconds(programs.resumeAfterMs) }) };
}

function judgeBattery(signals: Signals, { battery }: Rules): Verdict {
  const power = known(signals.power, signals);
  if (power === null || power.source === 'mains') return YES;
  if (battery.onBattery === 'pause') return { says: 'no', reason: ref('policy.battery') };
  if (power.percent === null) return YES;
  if (power.percent >= battery.resumeAbovePercent) return YES;
  if (power.percent >= battery.belowPercent) return BETWEEN;
  return { says: 'no', reason: ref('policy.battery.low', { percent: Math.round(power.percent), resume: battery.resumeAbovePercent }) };
}

function judgeSchedule({ now, utcOffsetMinutes }: Signals, { schedule }: Rules): Verdict {
  if (!schedule.only) return OFF;
  const minute = minuteOfWeek(now, utcOffsetMinutes);
  if (inWindows(schedule.windows, minute)) return YES;
  const wait = minutesUntil(schedule.windows, minute, true);
  if (wait === null) return { says: 'no', reason: ref('policy.schedule.never') };
  return { says: 'no', reason: ref('policy.schedule'), until: Math.round(now + wait * MINUTE_MS) };
}

function judgeQuiet({ now, utcOffsetMinutes }: Signals, { quiet }: Rules): Verdict {
  if (quiet.duty > 0) return OFF;
  const minute = minuteOfWeek(now, utcOffsetMinutes);
  if (!inWindows(quiet.windows, minute)) return YES;
  const wait = minutesUntil(quiet.windows, minute, false);
  return { says: 'no', reason: ref('policy.quiet'), until: wait === null ? null : Math.round(now + wait * MINUTE_MS) };
}

function judgeProfit(signals: Signals, { profit, electricity }: Rules): Verdict {
  const { minPerHour } = profit;
  if (minPerHour === null) return OFF;
  const now = known(signals.profitPerHour, signals);
  if (now === null || now >= (profit.resumeAbovePerHour ?? minPerHour)) return YES;
  if (now >= minPerHour) return BETWEEN;
  return { says: 'no', reason: ref('policy.profit', { least: minPerHour, currency: electricity.currency }) };
}

const AT_ONCE = () => 0;
/** What comes and goes by itself (a sensor, a changed clock) must have come to stay. */
const SETTLED = () => 5000;

/** Every rule by its name. Unknown readings let work go on, but for those by which one may only work in the user's absence. */
export const RULES: Record<RuleName, Rule> = {
  suspended: { judge: ({ suspended }) => (suspended ? { says: 'no', reason: ref('reason.suspended') } : OFF), resumeAfterMs: AT_ONCE },
  measuring: { judge: ({ measuring }) => (measuring ? { says: 'no', reason: ref('reason.measuring') } : OFF), resumeAfterMs: AT_ONCE },
  manual: { judge: judgeManual, resumeAfterMs: AT_ONCE },
  temperature: {
    judge(signals, { temperature }, gpu) {
      const degrees = gpu === null ? null : known(gpu.temperatureC, signals);
      const { pauseAboveC, resumeBelowC } = temperature;
      if (degrees === null) return YES;
      return above(degrees, pauseAboveC, resumeBelowC, () => ref('policy.temperature', { most: pauseAboveC, resume: resumeBelowC }));
    },
    resumeAfterMs: ({ temperature }) => temperature.resumeAfterMs,
  },
  battery: { judge: judgeBattery, resumeAfterMs: ({ battery }) => battery.resumeAfterMs },
  programs: { judge: judgePrograms, resumeAfterMs: ({ programs }) => programs.resumeAfterMs },
  fullScreen: { judge: judgeFullScreen, resumeAfterMs: ({ fullScreen }) => fullScreen.resumeAfterMs },
  otherGpu: {
    judge(signals, { otherGpu }, gpu) {
      if (!otherGpu.pause) return OFF;
      const load = gpu === null ? null : known(gpu.otherLoad, signals);
      if (load === null) return YES;
      return above(load, otherGpu.aboveShare, otherGpu.resumeBelowShare, () =>
        ref('policy.other-gpu', { resume: percent(otherGpu.resumeBelowShare) }),
      );
    },
    resumeAfterMs: ({ otherGpu }) => otherGpu.resumeAfterMs,
  },
  otherVram: {
    judge(signals, { otherVram }, gpu) {
      const { aboveBytes, resumeBelowBytes } = otherVram;
      if (aboveBytes === null) return OFF;
      const bytes = gpu === null ? null : known(gpu.otherVramBytes, signals);
      if (bytes === null) return YES;
      return above(bytes, aboveBytes, resumeBelowBytes ?? aboveBytes, () =>
        ref('policy.other-vram', { gigabytes: Math.round(aboveBytes / 1e8) / 10 }),
      );
    },
    resumeAfterMs: ({ otherVram }) => otherVram.resumeAfterMs,
  },
  otherCpu: {
    judge(signals, { otherCpu }) {
      if (!otherCpu.pause) return OFF;
      const load = known(signals.otherCpuLoad, signals);
      if (load === null) return YES;
      return above(load, otherCpu.aboveShare, otherCpu.resumeBelowShare, () =>
        ref('policy.other-cpu', { resume: percent(otherCpu.resumeBelowShare) }),
      );
    },
    resumeAfterMs: ({ otherCpu }) => otherCpu.resumeAfterMs,
  },
  locked: { judge: judgeLocked, resumeAfterMs: SETTLED },
  idle: { judge: judgeIdle, resumeAfterMs: SETTLED },
  schedule: { judge: judgeSchedule, resumeAfterMs: SETTLED },
  quiet: { judge: judgeQuiet, resumeAfterMs: SETTLED },
  metered: {
    judge(signals, { metered }) {
      if (!metered.pause) return OFF;
      return known(signals.metered, signals) === true ? { says: 'no', reason: ref('policy.metered') } : YES;
    },
    resumeAfterMs: () => 10_000,
  },
  electricity: {
    judge(signals, { electricity }) {
      const { maxPerKwh, currency } = electricity;
      if (maxPerKwh === null) return OFF;
      const price = known(signals.electricityPerKwh, signals);
      return price === null || price <= maxPerKwh
        ? YES
        : { says: 'no', reason: ref('policy.electricity', { price, most: maxPerKwh, currency }) };
    },
    resumeAfterMs: ({ electricity }) => electricity.resumeAfterMs,
  },
  profit: { judge: judgeProfit, resumeAfterMs: ({ profit }) => profit.resumeAfterMs },
};
