import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageOf } from '../../../core/contract/messages.ts';
import { Decision, OVERRIDABLE, type RuleName, type Signals } from '../../../core/contract/policy.ts';
import type { Rules } from '../../../core/contract/rules.ts';
import { decide, type Memory } from '../../../core/policy/decide.ts';
import { RULES } from '../../../core/policy/decide-rule.ts';
import { GPU, NOON, rulesOf, signalsAt, type Told } from './scene.ts';

const RUNS = 10_000;
const DEVICES = ['cpu', GPU];
/** The least time that any rule but sleep and the user's word keeps work away once it said no. */
const LEAST_WAIT_MS = 5000;

const share = fc.double({ min: 0, max: 1, noNaN: true });
const perhaps = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const GAMES = [[], [], [{ name: 'Doom', pid: 3 }], Array.from({ length: 5 }, (_, pid) => ({ name: `Game ${pid}`, pid }))];

const told: fc.Arbitrary<Told> = fc.record({
  idleMs: perhaps(fc.oneof(fc.constant(0), fc.nat(900_000))),
  sessionLocked: perhaps(fc.boolean()),
  fullScreen: perhaps(fc.constantFrom({ name: null }, { name: null }, { name: 'Game' })),
  programs: perhaps(fc.constantFrom(...GAMES)),
  otherCpuLoad: perhaps(share),
  power: perhaps(fc.record({ source: fc.constantFrom('mains', 'battery'), percent: fc.option(fc.nat(100)) })),
  powerWatts: perhaps(fc.nat(2000)),
  metered: perhaps(fc.boolean()),
  electricityPerKwh: perhaps(share),
  profitPerHour: perhaps(fc.double({ min: -1, max: 1, noNaN: true })),
  gpu: fc.record({
    temperatureC: perhaps(fc.integer({ min: 20, max: 110 })),
    throttled: perhaps(fc.record({ thermal: fc.boolean(), power: fc.boolean() })),
    otherLoad: perhaps(share),
    otherVramBytes: perhaps(fc.nat()),
  }),
});

const manual = fc.option(
  fc.oneof(
    fc.record({ order: fc.constant('start' as const), until: fc.nat(600_000), overrides: fc.subarray(OVERRIDABLE as RuleName[]) }),
    fc.record({ order: fc.constant('pause' as const), until: fc.option(fc.nat(600_000)) }),
    fc.constant({ order: 'pause-until-idle' as const }),
    fc.constant({ order: 'finish' as const }),
  ),
  { freq: 3 },
);

/** Steps of a machine's life: the steady clock goes on, the wall clock may jump, readings are fresh, old or not there. */
const step = fc.record({
  afterMs: fc.oneof(fc.nat(3000), fc.nat(120_000)),
  clockJumpMs: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -1e8, max: 1e8 }) }),
  utcOffsetMinutes: fc.constantFrom(0, 0, 60, 120, -300, 345),
  told,
  manual,
  suspended: fc.constantFrom(false, false, false, true),
  oldBy: fc.constantFrom(0, 0, 0, 30_000, 61_000, -5000),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
const life = fc.array(step, { minLength: 1, maxLength: 7 });

const window = fc.record({
  days: fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1 }),
  fromMinute: fc.nat(1440),
  toMinute: fc.nat(1440),
});
const rules: fc.Arbitrary<Rules> = fc
  .record({
    idle: fc.record({ whenInUse: fc.constantFrom('run', 'throttle', 'pause'), afterMs: fc.constantFrom(5000, 60_000) }),
    locked: fc.record({ onlyWhenLocked: fc.boolean() }),
    programs: fc.record({ pause: fc.boolean(), resumeAfterMs: fc.constantFrom(5000, 60_000) }),
    fullScreen: fc.record({ pause: fc.boolean() }),
    battery: fc.record({ onBattery: fc.constantFrom('run', 'pause') }),
    otherCpu: fc.record({ pause: fc.boolean() }),
    otherVram: fc.record({ aboveBytes: fc.option(fc.integer({ min: 1, max: 2 ** 31 })) }),
    schedule: fc.record({ only: fc.boolean(), windows: fc.array(window, { maxLength: 3 }) }),
    quiet: fc.record({ windows: fc.array(window, { maxLength: 2 }), duty: fc.constantFrom(0, 0.3) }),
    metered: fc.record({ pause: fc.boolean() }),
    electricity: fc.record({ maxPerKwh: fc.option(share) }),
    profit: fc.record({ minPerHour: fc.option(share) }),
    power: fc.record({ maxWatts: fc.constantFrom(null, 400) }),
    limits: fc.record({ duty: fc.constantFrom(1, 0.5) }),
  })
  .map((change) => rulesOf(change as Parameters<typeof rulesOf>[0]));

/** The signals of each step. */
function signalsOf(steps: readonly Step[]): Signals[] {
  let steadyMs = 0;
  let clock = NOON;
  return steps.map(({ afterMs, clockJumpMs, utcOffsetMinutes, oldBy, suspended, ...each }) => {
    steadyMs += afterMs;
    clock += clockJumpMs;
    const signals = signalsAt(steadyMs, each.told, { now: clock + steadyMs, utcOffsetMinutes, suspended, manual: each.manual });
    for (const value of [...Object.values(signals), ...Object.values(signals.gpus[GPU] ?? {})]) {
      if (value !== null && typeof value === 'object' && 'at' in value) value.at = Math.max(0, steadyMs - oldBy);
    }
    return signals;
  });
}

/** Every decision of a life, in order, with what it was made from. */
function* decisionsOf(steps: readonly Step[], rules: Rules) {
  let memory: Memory = {};
  for (const signals of signalsOf(steps)) {
    const decided = decide(signals, rules, memory, DEVICES);
    memory = decided.memory;
    yield { signals, ...decided };
  }
}

/** Like `expect`, but for the time: so often, making an expectation takes longer than what it is of. */
function must(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

function check(property: (steps: Step[], rules: Rules) => void, numRuns = RUNS): void {
  fc.assert(fc.property(life, rules, property), { numRuns });
}

describe('over random lives of a machine', () => {
  it('nothing runs while a rule says no, unless the user started in spite of just that rule', () => {
    check((steps, rules) => {
      for (const { signals, decisions, manual } of decisionsOf(steps, rules)) {
        const overrides = manual?.order === 'start' ? manual.overrides : [];
        for (const decision of decisions) {
          const gpu = decision.device === 'cpu' ? null : (signals.gpus[decision.device] ?? null);
          const no = (name: RuleName) => RULES[name].judge({ ...signals, manual }, rules, gpu).says === 'no';
          const against = Object.keys(RULES).filter((name) => no(name as RuleName) && !overrides.includes(name as RuleName));
          must(against.length === 0 || (decision.act === 'pause' && decision.duty === 0), { against, decision });
        }
      }
    });
  });

  it('what was paused by a signal waits before it goes on, and every decision has a reason in words', () => {
    check((steps, rules) => {
      const pausedAt = new Map<string, number>();
      for (const { signals, decisions } of decisionsOf(steps, rules)) {
        for (const decision of decisions) {
          must(messageOf(Decision.parse(decision).reason).length > 10, decision);
          must(decision.duty > 0 === (decision.act !== 'pause'), decision);
          const bySignal = decision.rules.some((name) => name !== 'suspended' && name !== 'manual' && !decision.overridden.includes(name));
          const since = pausedAt.get(decision.device);
          if (decision.act === 'pause') {
            if (bySignal && since === undefined) pausedAt.set(decision.device, signals.steadyMs);
          } else if (signals.manual?.order !== 'start') {
            // A start overrides at once: that is the user's word, not flapping. The rule's time to wait runs on meanwhile.
            must(since === undefined || signals.steadyMs - since >= LEAST_WAIT_MS, { decision, since, now: signals.steadyMs });
            pausedAt.delete(decision.device);
          }
        }
      }
    });
  });

  it('work always goes on when every rule allows it for as long as rules ask for', () => {
    check((steps, rules) => {
      let memory: Memory = {};
      let end = 0;
      for (const decided of decisionsOf(steps, rules)) {
        memory = decided.memory;
        end = decided.signals.steadyMs;
      }
      const calm = { ...rules, schedule: { only: false, windows: [] }, quiet: { windows: [], duty: 0.3 } };
      const allows: Told = {
        idleMs: 900_000,
        sessionLocked: true,
        fullScreen: { name: null },
        programs: [],
        otherCpuLoad: 0,
        power: { source: 'mains', percent: null },
        metered: false,
        electricityPerKwh: -1,
        profitPerHour: 1000,
        gpu: { temperatureC: 30, otherLoad: 0, otherVramBytes: 0 },
      };
      let decided = decide(signalsAt(end, allows), calm, memory, DEVICES);
      // Waking when it asks to be woken is enough.
      for (let wake = 0; wake < 50 && decided.decisions.some(({ act }) => act === 'pause'); wake += 1) {
        decided = decide(signalsAt(Math.max(decided.wakeAt, end + 1), allows), calm, decided.memory, DEVICES);
      }
      expect(decided.decisions.map(({ act }) => act)).not.toContain('pause');
    });
  });

  it('the same signals, rules and memory give the same decision, and nothing that went in is changed', () => {
    check((steps, rules) => {
      const [signals] = signalsOf(steps);
      if (signals === undefined) return;
      const frozen = JSON.stringify([signals, rules]);
      expect(decide(signals, rules, {}, DEVICES)).toEqual(decide(signals, rules, {}, DEVICES));
      expect(JSON.stringify([signals, rules])).toBe(frozen);
    }, 1000);
  });
});
