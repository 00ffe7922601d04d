import { z } from 'zod';
import { GpuId } from './hardware.ts';
import { MessageRef } from './messages.ts';
import type { Rules } from './rules.ts';

/**
 * What the rules are decided from. `steadyMs`, and the `at` of every reading, are ms of a clock that nobody sets: since any start, time asleep
 * included, so that a changed clock, a time zone or daylight saving ends no wait too early or late. What is unknown is null.
 */
const reading = <T extends z.ZodType>(value: T) =>
  z
    .strictObject({ value, at: z.number().min(0) })
    .nullable()
    .default(null);

const Share = z.number().min(0).max(1);
const ProgramName = z.string().min(1).max(260);

/** The readings of one GPU. */
const GPU_SIGNALS = {
  temperatureC: reading(z.number().min(-20).max(150)),
  /** Whether it slows itself down for heat, or for its own power limit. */
  throttled: reading(z.strictObject({ thermal: z.boolean(), power: z.boolean() })),
  powerWatts: reading(z.number().min(0).max(5000)),
  /** What programs that aren't ours make of it: share of its time, memory. */
  otherLoad: reading(Share),
  otherVramBytes: reading(z.int().min(0)),
} as const;
export const GpuSignals = z.strictObject(GPU_SIGNALS);
export type GpuSignals = z.infer<typeof GpuSignals>;

/** The readings of the machine. */
export const MACHINE_SIGNALS = {
  /** Time since the last input of the user, as it was at `at`. */
  idleMs: reading(z.number().min(0)),
  sessionLocked: reading(z.boolean()),
  /** The program that fills the screen in front; `name` null: none does. */
  fullScreen: reading(z.strictObject({ name: ProgramName.nullable() })),
  /** Programs on the user's list that run now, under the name that the list gives them. */
  programs: reading(z.array(z.strictObject({ name: ProgramName, pid: z.int().min(0) })).max(1000)),
  /** Share of all cores that programs that aren't ours use. */
  otherCpuLoad: reading(Share),
  /** `percent`: of the battery; null where there is none, or it doesn't tell. */
  power: reading(z.strictObject({ source: z.enum(['mains', 'battery']), percent: z.number().min(0).max(100).nullable() })),
  /** What the whole machine draws, measured. */
  powerWatts: reading(z.number().min(0).max(50_000)),
  metered: reading(z.boolean()),
  /** In the currency of the user's tariff. */
  electricityPerKwh: reading(z.number().min(-100).max(100_000)),
  /** Net of electricity, in the same currency. */
  profitPerHour: reading(z.number().min(-100_000).max(100_000)),
} as const;

/** Every rule that can say no, by the name that the user's settings, the records and the screens share. The first that holds is the one told. */
export const RULE_NAMES = [
  'suspended',
  'measuring',
  'manual',
  'temperature',
  'battery',
  'programs',
  'fullScreen',
  'otherGpu',
  'otherVram',
  'otherCpu',
  'locked',
  'idle',
  'schedule',
  'quiet',
  'metered',
  'electricity',
  'profit',
] as const;
export const RuleName = z.enum(RULE_NAMES);
export type RuleName = z.infer<typeof RuleName>;

/** Rules that a manual start may go against. Sleep and heat are not up to the user, and a manual stop is what the start ends. */
export const OVERRIDABLE = RULE_NAMES.filter((name) => !['suspended', 'measuring', 'manual', 'temperature'].includes(name));

const USERS_PAUSES = ['reason.paused-by-you', 'reason.paused-until', 'policy.manual.until-idle', 'policy.manual.finish'];
const MACHINES_PAUSES = ['reason.suspended', 'reason.measuring', 'policy.temperature'];

/** By whose word work is paused: the user's, which `work.resume` ends; a rule's, against which `work.start` goes; or one that nobody can go against. */
export function pausedBy({ key }: MessageRef): 'user' | 'rule' | 'machine' {
  if (USERS_PAUSES.includes(key)) return 'user';
  return MACHINES_PAUSES.includes(key) ? 'machine' : 'rule';
}

/** What the user said last; null once it is over. Times on the steady clock. */
export const ManualOrder = z.discriminatedUnion('order', [
  /** Work in spite of these rules, and no others, until then. */
  z.strictObject({ order: z.literal('start'), until: z.number().min(0), overrides: z.array(RuleName).max(RULE_NAMES.length) }),
  /** Pause until then; null: until told otherwise. */
  z.strictObject({ order: z.literal('pause'), until: z.number().min(0).nullable() }),
  /** Pause until the user hasn't touched the machine for as long as the idle rule says. */
  z.strictObject({ order: z.literal('pause-until-idle') }),
  /** Hand in the shard that runs, then pause until told otherwise. */
  z.strictObject({ order: z.literal('finish') }),
]);
export type ManualOrder = z.infer<typeof ManualOrder>;

/** Everything that a decision is made from. A reading older than STALE_MS counts as unknown: sources repeat what still holds. */
export const Signals = z.strictObject({
  /** ms since 1970, for schedules alone, and the zone's distance from UTC at that time. */
  now: z.int(),
  utcOffsetMinutes: z
    .int()
    .min(-24 * 60)
    .max(24 * 60),
  steadyMs: z.number().min(0),
  ...MACHINE_SIGNALS,
  gpus: z.record(GpuId, GpuSignals).default({}),
  manual: ManualOrder.nullable().default(null),
  suspended: z.boolean().default(false),
  /** The machine is being measured, and ordinary work is set aside for that. */
  measuring: z.boolean().default(false),
});
export type Signals = z.infer<typeof Signals>;

/** A reading that wasn't repeated for so long tells nothing any more: its source may hang. Sources repeat theirs at least twice as often. */
export const STALE_MS = 60_000;

type ValueOf<T> = T extends { value: infer V } ? V : never;
type Values<T> = { [F in keyof T]?: ValueOf<T[F]> | null };

/** What a source tells: new values of some readings; null: it is unknown from now on. Fields that are left out stay as they are. */
export type SignalChange = Values<Pick<Signals, keyof typeof MACHINE_SIGNALS>> & { gpus?: Record<GpuId, Values<GpuSignals>> };

/** What sources may ask of the policy, at any time. */
export interface SignalContext {
  /** Takes new values. What isn't as the schema has it counts as unknown. Must be called again at least every STALE_MS / 2. */
  publish(change: SignalChange): void;
  /** The machine is about to sleep (true), or awake again. */
  sleep(falls: boolean): void;
  rules(): Rules;
  /** Whether a worker computes or may at any moment. While it is false, what would wake a sleeping GPU isn't asked. */
  working(): boolean;
  /** Called when the rules or `working` are others. Returns the way to leave. */
  onChange(listener: () => void): () => void;
  /** ms since 1970 */
  clock(): number;
  log(level: 'debug' | 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>): void;
}

/** Watches some signals of this machine. One that can't is no error: its readings stay unknown. */
export interface SignalSource {
  name: string;
  /** Starts to watch; must not throw. Returns the way to stop, which leaves nothing behind: no process, timer or file. */
  start(context: SignalContext): () => void | Promise<void>;
}

/** What is decided for: a GPU, or the processor where it computes by itself. */
export const DeviceId = z.union([GpuId, z.literal('cpu')]);
export type DeviceId = z.infer<typeof DeviceId>;

/** What to do with one device, and the sentence that says why and what would change it. */
export const Decision = z.strictObject({
  device: DeviceId,
  act: z.enum(['run', 'throttle', 'pause']),
  /** Share of the time in which it computes: 1 when it runs, 0 when it pauses. */
  duty: Share,
  reason: MessageRef,
  /** Rules that say no now, those that a manual start goes against included; the first that isn't overridden is in `reason`. */
  rules: z.array(RuleName).max(RULE_NAMES.length),
  overridden: z.array(RuleName).max(RULE_NAMES.length),
  /** When it changes by itself if nothing else happens, in ms since 1970; null where that isn't known. */
  until: z.int().nullable(),
  /** A shard that would end within this time may end before the pause; 0: none may; null: however long it takes. */
  graceMs: z.int().min(0).nullable(),
});
export type Decision = z.infer<typeof Decision>;

/** `leftBytes`: what the worker's processes hold still; null where only the machine's totals are known. */
const Given = z.strictObject({ bytes: z.int(), leftBytes: z.int().min(0).nullable(), by: z.enum(['process', 'machine']) });

/** What a pause gave back, measured. `process`: of the worker's processes alone; `machine`: what the whole machine had more of afterwards. */
export const Freed = z.strictObject({
  memory: Given,
  vram: z.array(z.strictObject({ gpu: GpuId, ...Given.shape })).max(16),
});
export type Freed = z.infer<typeof Freed>;

/** One pause from its first moment to the last; `to` null while it lasts. Times in ms since 1970. */
export const PauseRecord = z.strictObject({
  from: z.int(),
  to: z.int().nullable(),
  reason: MessageRef.nullable(),
  /** From the decision to the worker gone; null where none ran, or it is not over yet. */
  yieldMs: z.number().min(0).nullable(),
  freed: Freed.nullable(),
});
export type PauseRecord = z.infer<typeof PauseRecord>;

/** A GPU whose power limit is another than it was, in W; or what keeps it from being set. */
export const PowerLimitState = z.strictObject({
  gpu: GpuId,
  watts: z.number().nullable(),
  beforeWatts: z.number().nullable(),
  problem: MessageRef.nullable(),
});
export type PowerLimitState = z.infer<typeof PowerLimitState>;

/** What the rules make of the machine now. */
export const PolicyStatus = z.strictObject({
  signals: Signals,
  decisions: z.array(Decision).max(129),
  powerLimits: z.array(PowerLimitState).max(256),
});
export type PolicyStatus = z.infer<typeof PolicyStatus>;
