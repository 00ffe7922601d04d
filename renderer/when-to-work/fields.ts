import type { MessageKey } from '../../core/contract/messages.ts';
import type { Rules, RulesChange } from '../../core/contract/rules.ts';

/** One rule that a person can change, with how it is read from all of them and what a change of it is. */
export type Field =
  | { kind: 'switch'; label: MessageKey; get(rules: Rules): boolean; set(rules: Rules, on: boolean): RulesChange; more: readonly Field[] }
  | {
      kind: 'number';
      label: MessageKey;
      /** Has `{value}` for the field itself: `{value} minutes`. */
      unit: MessageKey;
      min: number;
      max: number;
      step: number;
      /** Whether it may be left empty. */
      optional?: boolean;
      get(rules: Rules): number | null;
      set(rules: Rules, value: number | null): RulesChange;
    }
  | {
      kind: 'choice';
      label: MessageKey;
      options: readonly { value: string; label: MessageKey; more?: readonly Field[] }[];
      get(rules: Rules): string;
      set(rules: Rules, value: string): RulesChange;
    };

type NumberField = Extract<Field, { kind: 'number' }>;
type Switch = Extract<Field, { kind: 'switch' }>;

function number(
  label: MessageKey,
  unit: MessageKey,
  bounds: Pick<NumberField, 'min' | 'max' | 'step' | 'optional'>,
  get: NumberField['get'],
  set: NumberField['set'],
): Field {
  return { kind: 'number', label, unit, ...bounds, get, set };
}

function toggle(label: MessageKey, get: Switch['get'], set: Switch['set'], more: readonly Field[] = []): Field {
  return { kind: 'switch', label, get, set, more };
}

const MINUTE_MS = 60_000;
const SECOND_MS = 1000;
const GB_BYTES = 2 ** 30;

const percent = (share: number): number => Math.round(share * 100);
/** Work goes on well below what it stopped at, so that it doesn't flicker: at half the load, a few degrees and percent apart. */
const halfOf = (share: number): number => share / 2;
const COOLER_C = 15;
const CHARGED_PERCENT = 10;

export const IN_USE: readonly Field[] = [
  {
    kind: 'choice',
    label: 'when.in-use',
    options: [
      { value: 'run', label: 'when.in-use.run' },
      {
        value: 'throttle',
        label: 'when.in-use.throttle',
        more: [
          number(
            'when.in-use.duty',
            'when.unit.percent-of-time',
            { min: 5, max: 100, step: 5 },
            ({ idle }) => percent(idle.duty),
            ({ idle }, value) => ({ idle: { ...idle, duty: (value ?? 50) / 100 } }),
          ),
        ],
      },
      { value: 'pause', label: 'when.in-use.pause' },
    ],
    get: ({ idle }) => idle.whenInUse,
    set: ({ idle }, value) => ({ idle: { ...idle, whenInUse: value as Rules['idle']['whenInUse'] } }),
  },
  number(
    'when.away-after',
    'when.unit.minutes',
    { min: 1, max: 1440, step: 1 },
    ({ idle }) => idle.afterMs / MINUTE_MS,
    ({ idle }, value) => ({ idle: { ...idle, afterMs: (value ?? 5) * MINUTE_MS } }),
  ),
  toggle(
    'when.locked',
    ({ locked }) => locked.onlyWhenLocked,
    (_rules, on) => ({ locked: { onlyWhenLocked: on } }),
  ),
];

export const OTHERS: readonly Field[] = [
  toggle(
    'when.full-screen',
    ({ fullScreen }) => fullScreen.pause,
    ({ fullScreen }, on) => ({ fullScreen: { ...fullScreen, pause: on } }),
  ),
  toggle(
    'when.other-gpu',
    ({ otherGpu }) => otherGpu.pause,
    ({ otherGpu }, on) => ({ otherGpu: { ...otherGpu, pause: on } }),
    [
      number(
        'when.other-gpu.above',
        'when.unit.percent',
        { min: 5, max: 100, step: 5 },
        ({ otherGpu }) => percent(otherGpu.aboveShare),
        ({ otherGpu }, value) => {
          const aboveShare = (value ?? 30) / 100;
          return { otherGpu: { ...otherGpu, aboveShare, resumeBelowShare: halfOf(aboveShare) } };
        },
      ),
    ],
  ),
  toggle(
    'when.other-cpu',
    ({ otherCpu }) => otherCpu.pause,
    ({ otherCpu }, on) => ({ otherCpu: { ...otherCpu, pause: on } }),
    [
      number(
        'when.other-cpu.above',
        'when.unit.percent',
        { min: 5, max: 100, step: 5 },
        ({ otherCpu }) => percent(otherCpu.aboveShare),
        ({ otherCpu }, value) => {
          const aboveShare = (value ?? 60) / 100;
          return { otherCpu: { ...otherCpu, aboveShare, resumeBelowShare: halfOf(aboveShare) } };
        },
      ),
    ],
  ),
  number(
    'when.other-vram',
    'when.unit.gigabytes',
    { min: 0.5, max: 1024, step: 0.5, optional: true },
    ({ otherVram }) => (otherVram.aboveBytes === null ? null : otherVram.aboveBytes / GB_BYTES),
    ({ otherVram }, value) => ({
      otherVram:
        value === null
          ? { ...otherVram, aboveBytes: null, resumeBelowBytes: null }
          : { ...otherVram, aboveBytes: Math.round(value * GB_BYTES), resumeBelowBytes: Math.round((value / 2) * GB_BYTES) },
    }),
  ),
  number(
    'when.finish-within',
    'when.unit.seconds',
    { min: 0, max: 600, step: 1 },
    ({ yielding }) => yielding.finishWithinMs / SECOND_MS,
    (_rules, value) => ({ yielding: { finishWithinMs: Math.round((value ?? 0) * SECOND_MS) } }),
  ),
];

export const HEAT: readonly Field[] = [
  number(
    'when.target',
    'when.unit.celsius',
    { min: 40, max: 100, step: 1, optional: true },
    ({ temperature }) => temperature.targetC,
    ({ temperature }, value) => ({ temperature: { ...temperature, targetC: value } }),
  ),
  number(
    'when.too-hot',
    'when.unit.celsius',
    { min: 50, max: 120, step: 1 },
    ({ temperature }) => temperature.pauseAboveC,
    ({ temperature }, value) => {
      const pauseAboveC = value ?? 87;
      return { temperature: { ...temperature, pauseAboveC, resumeBelowC: pauseAboveC - COOLER_C } };
    },
  ),
  number(
    'when.duty',
    'when.unit.percent-of-time',
    { min: 5, max: 100, step: 5 },
    ({ limits }) => percent(limits.duty),
    (_rules, value) => ({ limits: { duty: (value ?? 100) / 100 } }),
  ),
  number(
    'when.max-watts',
    'when.unit.watts',
    { min: 10, max: 50_000, step: 10, optional: true },
    ({ power }) => power.maxWatts,
    ({ power }, value) => ({ power: { ...power, maxWatts: value } }),
  ),
  toggle(
    'when.gpu-limit.granted',
    ({ power }) => power.granted,
    ({ power }, on) => ({ power: { ...power, granted: on } }),
    [
      number(
        'when.gpu-limit',
        'when.unit.watts',
        { min: 10, max: 2000, step: 5, optional: true },
        ({ power }) => power.gpuLimitWatts,
        ({ power }, value) => ({ power: { ...power, gpuLimitWatts: value } }),
      ),
    ],
  ),
];

export const POWER: readonly Field[] = [
  {
    kind: 'choice',
    label: 'when.battery',
    options: [
      { value: 'pause', label: 'when.battery.pause' },
      {
        value: 'run',
        label: 'when.battery.run',
        more: [
          number(
            'when.battery.below',
            'when.unit.percent',
            { min: 0, max: 90, step: 5 },
            ({ battery }) => battery.belowPercent,
            ({ battery }, value) => {
              const belowPercent = value ?? 50;
              return { battery: { ...battery, belowPercent, resumeAbovePercent: belowPercent + CHARGED_PERCENT } };
            },
          ),
        ],
      },
    ],
    get: ({ battery }) => battery.onBattery,
    set: ({ battery }, value) => ({ battery: { ...battery, onBattery: value as Rules['battery']['onBattery'] } }),
  },
  toggle(
    'when.metered',
    ({ metered }) => metered.pause,
    (_rules, on) => ({ metered: { pause: on } }),
  ),
  number(
    'when.tariff',
    'when.unit.per-kwh',
    { min: -100, max: 100_000, step: 0.001, optional: true },
    ({ electricity }) => (electricity.tariff?.kind === 'fixed' ? electricity.tariff.perKwh : null),
    ({ electricity }, value) => ({
      electricity: { ...electricity, tariff: value === null ? null : { kind: 'fixed', perKwh: value } },
    }),
  ),
  number(
    'when.max-price',
    'when.unit.per-kwh',
    { min: -100, max: 100_000, step: 0.001, optional: true },
    ({ electricity }) => electricity.maxPerKwh,
    ({ electricity }, value) => ({ electricity: { ...electricity, maxPerKwh: value } }),
  ),
  number(
    'when.min-profit',
    'when.unit.per-hour',
    { min: -100_000, max: 100_000, step: 0.001, optional: true },
    ({ profit }) => profit.minPerHour,
    ({ profit }, value) => ({ profit: { ...profit, minPerHour: value, resumeAbovePerHour: value } }),
  ),
];

/** How much it works in quiet times; at 0 it pauses. */
export const QUIET: readonly Field[] = [
  number(
    'when.quiet.duty',
    'when.unit.percent-of-time',
    { min: 0, max: 100, step: 5 },
    ({ quiet }) => percent(quiet.duty),
    ({ quiet }, value) => ({ quiet: { ...quiet, duty: (value ?? 30) / 100 } }),
  ),
];
