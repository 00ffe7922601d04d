import { z } from 'zod';

const Share = z.number().min(0).max(1);
/** How long a signal must have been gone until work goes on. */
const ResumeAfterMs = z.int().min(1000).max(86_400_000);
const MinuteOfDay = z
  .int()
  .min(0)
  .max(24 * 60);
/** Time of a week in the machine's local time. Days from Sunday = 0; `to` at or before `from` is on the day after. */
export const Window = z.strictObject({
  days: z.array(z.int().min(0).max(6)).min(1).max(7),
  fromMinute: MinuteOfDay,
  toMinute: MinuteOfDay,
});
export type Window = z.infer<typeof Window>;
const Windows = z.array(Window).max(200);

/** A program as the system names its file: `Cyberpunk2077.exe`, `blender`. Compared without letter case, folder and `.exe`. */
const ProgramFile = z.string().trim().min(1).max(260);

/** A price for the kilowatt-hour: one, or one for each hour of the local day. */
export const Tariff = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('fixed'), perKwh: z.number().min(-100).max(100_000) }),
  z.strictObject({ kind: z.literal('hourly'), perKwh: z.array(z.number().min(-100).max(100_000)).length(24) }),
]);
export type Tariff = z.infer<typeof Tariff>;

export const PRESET_NAMES = ['gaming-pc', 'laptop', 'night-shift', 'studio-workstation', 'quiet', 'always'] as const;
export const PresetName = z.enum(PRESET_NAMES);
export type PresetName = z.infer<typeof PresetName>;

const below = (message: string) => ({ message });
const apart = below('the value at which work goes on must lie below the one at which it pauses');

/** Work only while nobody uses the machine; or less of it meanwhile. */
const Idle = z.strictObject({
  whenInUse: z.enum(['run', 'throttle', 'pause']).default('run'),
  /** In use until the last input lies so long back. What isn't known counts as in use. */
  afterMs: z.int().min(5000).max(86_400_000).default(300_000),
  /** Duty while in use, where that throttles. */
  duty: Share.min(0.05).default(0.5),
});
const Locked = z.strictObject({ onlyWhenLocked: z.boolean().default(false) });
const FullScreen = z.strictObject({ pause: z.boolean().default(true), resumeAfterMs: ResumeAfterMs.default(60_000) });
/** `added` and `removed` against the maintained list. */
const Programs = z.strictObject({
  pause: z.boolean().default(true),
  added: z.array(ProgramFile).max(5000).default([]),
  removed: z.array(ProgramFile).max(5000).default([]),
  resumeAfterMs: ResumeAfterMs.default(60_000),
});
const loadRule = (defaults: { pause: boolean; aboveShare: number; resumeBelowShare: number; resumeAfterMs: number }) =>
  z
    .strictObject({
      pause: z.boolean().default(defaults.pause),
      aboveShare: Share.default(defaults.aboveShare),
      resumeBelowShare: Share.default(defaults.resumeBelowShare),
      resumeAfterMs: ResumeAfterMs.default(defaults.resumeAfterMs),
    })
    .refine(({ aboveShare, resumeBelowShare }) => resumeBelowShare < aboveShare, apart);
const OtherGpu = loadRule({ pause: true, aboveShare: 0.3, resumeBelowShare: 0.15, resumeAfterMs: 30_000 });
const OtherCpu = loadRule({ pause: false, aboveShare: 0.6, resumeBelowShare: 0.4, resumeAfterMs: 30_000 });
const OtherVram = z
  .strictObject({
    aboveBytes: z.int().min(1).nullable().default(null),
    resumeBelowBytes: z.int().min(0).nullable().default(null),
    resumeAfterMs: ResumeAfterMs.default(30_000),
  })
  .refine(({ aboveBytes, resumeBelowBytes }) => aboveBytes === null || resumeBelowBytes === null || resumeBelowBytes < aboveBytes, apart);
/** On battery: pause, or work until it is down to `belowPercent`; in either case it goes on at mains power. */
const Battery = z
  .strictObject({
    onBattery: z.enum(['run', 'pause']).default('pause'),
    belowPercent: z.number().min(0).max(100).default(50),
    resumeAbovePercent: z.number().min(0).max(100).default(60),
    resumeAfterMs: ResumeAfterMs.default(10_000),
  })
  .refine(({ belowPercent, resumeAbovePercent }) => resumeAbovePercent > belowPercent, {
    message: 'the charge at which work goes on must lie above the one at which it pauses',
  });
/** `targetC`: duty is cut so that the GPU settles there; null: never. Above `pauseAboveC` it pauses. */
const Temperature = z
  .strictObject({
    targetC: z.number().min(40).max(100).nullable().default(75),
    pauseAboveC: z.number().min(50).max(120).default(87),
    resumeBelowC: z.number().min(30).max(110).default(70),
    resumeAfterMs: ResumeAfterMs.default(15_000),
  })
  .refine(({ pauseAboveC, resumeBelowC }) => resumeBelowC < pauseAboveC, apart);
/** `maxWatts`: duty is cut so that the whole machine draws no more. `gpuLimitWatts`: set in the GPU's driver, where `granted`; null: as it is. */
const Power = z.strictObject({
  maxWatts: z.number().min(10).max(50_000).nullable().default(null),
  gpuLimitWatts: z.number().min(10).max(2000).nullable().default(null),
  granted: z.boolean().default(false),
});
const Schedule = z.strictObject({ only: z.boolean().default(false), windows: Windows.default([]) });
/** Times in which it makes no noise: duty is cut to `duty`, or it pauses at 0. */
const Quiet = z.strictObject({ windows: Windows.default([]), duty: Share.default(0.3) });
const Metered = z.strictObject({ pause: z.boolean().default(false) });
const Electricity = z.strictObject({
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .default('EUR'),
  tariff: Tariff.nullable().default(null),
  /** Pauses while a kilowatt-hour costs more; null: never. */
  maxPerKwh: z.number().min(-100).max(100_000).nullable().default(null),
  resumeAfterMs: ResumeAfterMs.default(60_000),
});
/** Pauses while an hour brings less; goes on at `resumeAbovePerHour`. In the tariff's currency. */
const Profit = z
  .strictObject({
    minPerHour: z.number().min(-100_000).max(100_000).nullable().default(null),
    resumeAbovePerHour: z.number().min(-100_000).max(100_000).nullable().default(null),
    resumeAfterMs: ResumeAfterMs.default(300_000),
  })
  .refine(({ minPerHour, resumeAbovePerHour }) => minPerHour === null || resumeAbovePerHour === null || resumeAbovePerHour >= minPerHour, {
    message: 'the profit at which work goes on must not lie below the one at which it pauses',
  });
const Yielding = z.strictObject({
  /** A shard that is about to end within this time may end before a pause; 0: none may. Sleep waits for nothing. */
  finishWithinMs: z.int().min(0).max(600_000).default(0),
});
const Limits = z.strictObject({
  /** Duty at most, whatever else allows more. */
  duty: Share.min(0.05).default(1),
});

const SECTIONS = {
  idle: Idle,
  locked: Locked,
  fullScreen: FullScreen,
  programs: Programs,
  otherGpu: OtherGpu,
  otherVram: OtherVram,
  otherCpu: OtherCpu,
  battery: Battery,
  temperature: Temperature,
  power: Power,
  schedule: Schedule,
  quiet: Quiet,
  metered: Metered,
  electricity: Electricity,
  profit: Profit,
  yielding: Yielding,
  limits: Limits,
} as const;

/** When to work, and how hard. The defaults are the preset Gaming PC. Every field has a default, so an older file always reads. */
export const Rules = z.strictObject({
  /** The preset that these are, unchanged; null: the user's own. */
  preset: PresetName.nullable().default('gaming-pc'),
  idle: Idle.prefault({}),
  locked: Locked.prefault({}),
  fullScreen: FullScreen.prefault({}),
  programs: Programs.prefault({}),
  otherGpu: OtherGpu.prefault({}),
  otherVram: OtherVram.prefault({}),
  otherCpu: OtherCpu.prefault({}),
  battery: Battery.prefault({}),
  temperature: Temperature.prefault({}),
  power: Power.prefault({}),
  schedule: Schedule.prefault({}),
  quiet: Quiet.prefault({}),
  metered: Metered.prefault({}),
  electricity: Electricity.prefault({}),
  profit: Profit.prefault({}),
  yielding: Yielding.prefault({}),
  limits: Limits.prefault({}),
});
export type Rules = z.infer<typeof Rules>;

/** Some sections of the rules, each to be replaced as a whole. */
export const RulesChange = z.strictObject({ preset: PresetName.nullable(), ...SECTIONS }).partial();
export type RulesChange = z.infer<typeof RulesChange>;
