import { isDeepStrictEqual } from 'node:util';
import { PRESET_NAMES, type PresetName, Rules, type RulesChange } from '../contract/rules.ts';

const EVERY_DAY = [0, 1, 2, 3, 4, 5, 6];
const HOUR = 60;

/** What each preset says, where that differs from the defaults (which are Gaming PC). */
const PRESETS: Record<PresetName, RulesChange> = {
  'gaming-pc': {},
  laptop: {
    idle: { whenInUse: 'pause', afterMs: 300_000, duty: 0.5 },
    battery: { onBattery: 'pause', belowPercent: 50, resumeAbovePercent: 60, resumeAfterMs: 60_000 },
    temperature: { targetC: 70, pauseAboveC: 82, resumeBelowC: 65, resumeAfterMs: 30_000 },
    metered: { pause: true },
    limits: { duty: 0.7 },
  },
  'night-shift': {
    schedule: { only: true, windows: [{ days: EVERY_DAY, fromMinute: 23 * HOUR, toMinute: 7 * HOUR }] },
    idle: { whenInUse: 'pause', afterMs: 900_000, duty: 0.5 },
  },
  'studio-workstation': {
    schedule: {
      only: true,
      windows: [
        { days: [1, 2, 3, 4, 5], fromMinute: 19 * HOUR, toMinute: 8 * HOUR },
        { days: [0, 6], fromMinute: 0, toMinute: 24 * HOUR },
      ],
    },
    idle: { whenInUse: 'pause', afterMs: 1_200_000, duty: 0.5 },
    otherGpu: { pause: true, aboveShare: 0.1, resumeBelowShare: 0.05, resumeAfterMs: 300_000 },
    otherCpu: { pause: true, aboveShare: 0.3, resumeBelowShare: 0.15, resumeAfterMs: 300_000 },
    yielding: { finishWithinMs: 0 },
  },
  quiet: {
    idle: { whenInUse: 'throttle', afterMs: 300_000, duty: 0.25 },
    temperature: { targetC: 62, pauseAboveC: 80, resumeBelowC: 55, resumeAfterMs: 30_000 },
    quiet: { windows: [{ days: EVERY_DAY, fromMinute: 22 * HOUR, toMinute: 8 * HOUR }], duty: 0.2 },
    limits: { duty: 0.5 },
  },
  always: {
    programs: { pause: false, added: [], removed: [], resumeAfterMs: 60_000 },
    fullScreen: { pause: false, resumeAfterMs: 60_000 },
    otherGpu: { pause: false, aboveShare: 0.3, resumeBelowShare: 0.15, resumeAfterMs: 30_000 },
    battery: { onBattery: 'run', belowPercent: 20, resumeAbovePercent: 30, resumeAfterMs: 10_000 },
  },
};

/** The rules after a preset was chosen. The user's own program list, tariff and granted power limit stay: they are no matter of taste. */
function withPreset(preset: PresetName, { programs, electricity, power }: Rules): Rules {
  const rules = Rules.parse({ ...PRESETS[preset], preset });
  const { added, removed } = programs;
  return { ...rules, programs: { ...rules.programs, added, removed }, electricity, power };
}

/** The rules after a change: first the preset that it names, then its sections. Afterwards they are a preset again, or the user's own. */
export function changedRules(before: Rules, { preset, ...sections }: RulesChange): Rules {
  const rules = preset == null ? before : withPreset(preset, before);
  const given = Object.fromEntries(Object.entries(sections).filter(([, section]) => section !== undefined));
  const after: Rules = { ...rules, ...given };
  return { ...after, preset: presetOf(after) };
}

/** The preset that the rules are just now; null: the user's own. */
function presetOf(rules: Rules): PresetName | null {
  return PRESET_NAMES.find((name) => isDeepStrictEqual({ ...withPreset(name, rules), preset: null }, { ...rules, preset: null })) ?? null;
}
