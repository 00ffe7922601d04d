import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import type { Decision, DeviceId, SignalContext, SignalSource } from '../../../core/contract/policy.ts';
import { STALE_MS } from '../../../core/contract/policy.ts';
import type { Rules } from '../../../core/contract/rules.ts';
import { createPolicy, type Policy } from '../../../core/policy/controller.ts';
import { accept, UNKNOWN } from '../../../core/policy/controller-readings.ts';
import { GPU, NOON, rulesOf } from './scene.ts';

const GAME = [{ name: 'Doom', pid: 3 }];
const opened: Policy[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const policy of opened.splice(0)) await policy.close();
});

/** A policy over clocks and a source of the test's; timers are the test's too. */
function scene(rules: Rules = rulesOf(), devices: DeviceId[] = ['cpu']) {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const told: Decision[] = [];
  let context: SignalContext | undefined;
  let stopped = false;
  const clocks = { wall: NOON, steady: 0 };
  const source: SignalSource = {
    name: 'the test',
    start(given) {
      context = given;
      return () => {
        stopped = true;
      };
    },
  };
  const policy = createPolicy({
    sources: [source],
    devices: () => devices,
    rules: () => rules,
    working: () => true,
    clock: () => clocks.wall,
    steady: () => clocks.steady,
    utcOffsetMinutes: () => 0,
    log: () => undefined,
    onDecisions: ([first]) => first !== undefined && told.push(first),
  });
  opened.push(policy);
  policy.start();
  return {
    ...{ policy, told, clocks },
    get context(): SignalContext {
      if (context === undefined) throw new Error('it was not started');
      return context;
    },
    stopped: () => stopped,
    /** Time goes by, on both clocks. */
    pass(ms: number) {
      for (let left = ms; left > 0; left -= 1000) {
        clocks.wall += Math.min(left, 1000);
        clocks.steady += Math.min(left, 1000);
        vi.advanceTimersByTime(Math.min(left, 1000));
      }
    },
  };
}

it('tells a decision when it is another, at the signal, and by itself when it is due', () => {
  const { told, context, pass } = scene();
  context.publish({ programs: [] });
  expect(told.map(({ act }) => act)).toEqual(['run']);
  context.publish({ programs: GAME });
  context.publish({ programs: GAME });
  expect(told.map(({ act }) => act)).toEqual(['run', 'pause']);
  context.publish({ programs: [] });
  pass(59_000);
  expect(told.at(-1)?.act).toBe('pause');
  pass(2000);
  expect(told.at(-1)?.act).toBe('run');
});

it('a source that hangs is unknown soon, and does not keep work away for good', () => {
  const { told, context, pass } = scene();
  context.publish({ programs: GAME });
  pass(STALE_MS + 15_000 + 60_000 + 15_000);
  expect(told.at(-1)?.act).toBe('run');
});

it('a snooze is not cut short or drawn out by a clock that is set, and counts the time asleep', () => {
  const { policy, told, clocks, pass } = scene();
  policy.pause(3_600_000);
  clocks.wall += 86_400_000;
  pass(60_000);
  expect(told.at(-1)?.act).toBe('pause');
  clocks.wall -= 2 * 86_400_000;
  pass(60_000);
  policy.suspend();
  expect(told.at(-1)?.reason.key).toBe('reason.suspended');
  // The steady clock stands still meanwhile.
  clocks.wall += 3_600_000;
  policy.wake();
  expect(told.at(-1)?.act).toBe('run');
});

it('a start overrides what says no at that moment, alone; without anything to go against it is no order at all', () => {
  const { policy, told, context } = scene(rulesOf({ idle: { whenInUse: 'pause' } }));
  expect(policy.begin(60_000).overrides).toEqual(['idle']);
  expect(told.at(-1)).toMatchObject({ act: 'run', overridden: ['idle'] });
  context.publish({ programs: GAME });
  expect(told.at(-1)?.act).toBe('pause');
  expect(policy.begin(60_000).overrides).toEqual(['programs', 'idle']);
  expect(told.at(-1)?.act).toBe('run');
  policy.order(null);
  expect(told.at(-1)?.act).toBe('pause');
  const free = scene();
  expect(free.policy.begin(60_000).overrides).toEqual([]);
  expect(free.policy.status().signals.manual).toBeNull();
});

it('measuring sets everything aside, whatever the user started', () => {
  const { policy, told } = scene();
  policy.begin(60_000);
  policy.measure(true);
  expect(told.at(-1)).toMatchObject({ act: 'pause', reason: { key: 'reason.measuring' }, graceMs: 0 });
  policy.measure(false);
  expect(told.at(-1)?.act).toBe('run');
});

it('sources hear whether a GPU is to be watched: while it works, and while only its own sensors can tell when it may', () => {
  const { policy, context, pass } = scene(rulesOf(), ['cpu', GPU]);
  const heard: boolean[] = [];
  context.onChange(() => heard.push(context.working()));
  expect(context.working()).toBe(true);
  policy.pause(null);
  expect(heard).toEqual([false]);
  policy.order(null);
  context.publish({ gpus: { [GPU]: { temperatureC: 95 } }, programs: GAME });
  expect(context.working()).toBe(true);
  context.publish({ gpus: { [GPU]: { temperatureC: 60 } } });
  pass(16_000);
  expect([context.working(), heard]).toEqual([false, [false, true, false]]);
});

it('sources are stopped at the end, and what they tell afterwards is nobody’s', async () => {
  const { policy, told, context, stopped } = scene();
  await policy.close();
  expect(stopped()).toBe(true);
  const count = told.length;
  context.publish({ programs: GAME });
  expect(told).toHaveLength(count);
});

it('what is nonsense is unknown, and harms no other reading', () => {
  const known = accept(UNKNOWN, { idleMs: 5, gpus: { [GPU]: { temperatureC: 50, otherLoad: 0.5 } } }, 10);
  expect(known).toMatchObject({ idleMs: { value: 5, at: 10 }, gpus: { [GPU]: { temperatureC: { value: 50 } } } });
  const nonsense = accept(known, { idleMs: -1, gpus: { [GPU]: { temperatureC: 4000 }, 'no-gpu': { otherLoad: 1 } } } as never, 20);
  expect(nonsense.idleMs).toBeNull();
  expect(nonsense.gpus).toMatchObject({ [GPU]: { temperatureC: null, otherLoad: { value: 0.5, at: 10 } } });
  expect(Object.keys(nonsense.gpus)).toEqual([GPU]);
});

it('whatever a source tells, no reading is taken that a decision could stumble over', () => {
  const anything = fc.oneof(fc.anything(), fc.double(), fc.integer());
  const change = fc.dictionary(fc.constantFrom(...Object.keys(UNKNOWN), 'manual', '__proto__', 'now'), anything);
  const { context, policy } = scene();
  fc.assert(
    fc.property(change, (told) => {
      const { gpus, ...machine } = told;
      context.publish({ ...machine, ...(typeof gpus === 'object' && gpus !== null ? { gpus: { [GPU]: { ...gpus } } } : {}) } as never);
      expect(policy.status().decisions).toHaveLength(1);
    }),
  );
});

it('five hundred programs at once and a list of five thousand are decided about at once', () => {
  const added = Array.from({ length: 5000 }, (_, at) => `Game number ${at}.exe`);
  const { told, context } = scene(rulesOf({ programs: { added } }));
  context.publish({ programs: Array.from({ length: 500 }, (_, pid) => ({ name: `Game ${pid}`, pid })) });
  expect(told.at(-1)).toMatchObject({ act: 'pause', reason: { params: { name: 'Game 0', more: 499 } } });
});
