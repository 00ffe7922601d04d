import { describe, expect, it } from 'vitest';
import { messageOf } from '../../../core/contract/messages.ts';
import { type ManualOrder, OVERRIDABLE } from '../../../core/contract/policy.ts';
import { decide } from '../../../core/policy/decide.ts';
import { GPU, machine, NOON, rulesOf, signalsAt } from './scene.ts';

const GAME = [{ name: 'Cyberpunk2077', pid: 7 }];

describe('a program on the list', () => {
  it('pauses at once, with the words that say what would change it, and goes on after it has been closed for long enough', () => {
    const at = machine(rulesOf());
    expect(at(signalsAt(0, { programs: [] })).cpu).toMatchObject({ act: 'run', duty: 1 });
    const paused = at(signalsAt(1000, { programs: GAME })).cpu;
    expect(paused).toMatchObject({ act: 'pause', duty: 0, rules: ['programs'], until: null });
    expect(messageOf(paused.reason)).toBe("Cyberpunk2077 is running. I'll go on 60 s after it closes.");
    const closed = at(signalsAt(10_000, { programs: [] })).cpu;
    expect(closed).toMatchObject({ act: 'pause', until: NOON + 70_000 });
    expect(messageOf(closed.reason)).toBe("Cyberpunk2077 has closed. I'll go on as soon as it stays so.");
    expect(at(signalsAt(69_999, { programs: [] })).cpu.act).toBe('pause');
    expect(at(signalsAt(70_000, { programs: [] })).cpu.act).toBe('run');
  });

  it('starts the wait anew each time that it comes back', () => {
    const at = machine(rulesOf());
    at(signalsAt(0, { programs: GAME }));
    at(signalsAt(1000, { programs: [] }));
    at(signalsAt(50_000, { programs: GAME }));
    at(signalsAt(51_000, { programs: [] }));
    expect(at(signalsAt(110_000, { programs: [] })).cpu.act).toBe('pause');
    expect(at(signalsAt(111_000, { programs: [] })).cpu.act).toBe('run');
  });

  it('says how many more there are', () => {
    const { cpu } = machine(rulesOf())(signalsAt(0, { programs: [...GAME, { name: 'Blender', pid: 8 }, { name: 'Blender', pid: 9 }] }));
    expect(messageOf(cpu.reason)).toContain('Cyberpunk2077 is running, and one more program on your list.');
  });

  it('is let be where the user switched that rule off, at once', () => {
    const paused = decide(signalsAt(0, { programs: GAME }), rulesOf(), {}, ['cpu']);
    const off = rulesOf({ programs: { pause: false } });
    expect(decide(signalsAt(1, { programs: GAME }), off, paused.memory, ['cpu']).decisions[0]?.act).toBe('run');
  });
});

describe('idle', () => {
  const rules = rulesOf({ idle: { whenInUse: 'pause', afterMs: 60_000 } });

  it('that is unknown is not idle: not told, too old, or from the future', () => {
    for (const idleMs of [null, { value: 900_000, at: 0 }, { value: 900_000, at: 200_001 }]) {
      const { cpu } = machine(rules)(signalsAt(200_000, {}, { idleMs }));
      expect(cpu).toMatchObject({ act: 'pause', rules: ['idle'] });
      expect(messageOf(cpu.reason)).toBe("I can't tell whether you are using this machine, so I wait.");
    }
  });

  it('goes on growing between two readings', () => {
    const at = machine(rules);
    expect(at(signalsAt(0, { idleMs: 30_000 })).cpu.act).toBe('pause');
    const idleMs = { value: 30_000, at: 0 };
    expect(at(signalsAt(29_999, {}, { idleMs })).cpu.reason.key).toBe('policy.idle');
    expect(at(signalsAt(30_000, {}, { idleMs })).cpu.reason.key).toBe('policy.over');
    expect(at(signalsAt(35_000, {}, { idleMs })).cpu.act).toBe('run');
    expect(at(signalsAt(35_001, { idleMs: 0 })).cpu.act).toBe('pause');
  });

  it('cuts the duty instead where the user said so, for an unknown one too', () => {
    const throttling = machine(rulesOf({ idle: { whenInUse: 'throttle', duty: 0.25 } }));
    expect(throttling(signalsAt(0, { idleMs: 10 })).cpu).toMatchObject({ act: 'throttle', duty: 0.25 });
    expect(throttling(signalsAt(1)).cpu.reason.key).toBe('policy.duty.idle-unknown');
    expect(throttling(signalsAt(2, { idleMs: 400_000 })).cpu.act).toBe('run');
  });
});

describe('what the user says', () => {
  const start = (overrides: Extract<ManualOrder, { order: 'start' }>['overrides'], until = 3_600_000): ManualOrder => ({
    order: 'start',
    until,
    overrides,
  });

  it('a start overrides the named rules alone, says which and until when, and ends', () => {
    const at = machine(rulesOf({ idle: { whenInUse: 'pause' } }));
    const manual = start(['idle']);
    const { cpu } = at(signalsAt(0, { idleMs: 0 }, { manual }));
    expect(cpu).toMatchObject({ act: 'run', rules: ['idle'], overridden: ['idle'], until: NOON + 3_600_000 });
    expect(messageOf(cpu.reason)).toMatch(/^You started me, so until .* I work although you are using this machine\. Every other rule/);
    expect(at(signalsAt(1000, { idleMs: 0, programs: GAME }, { manual })).cpu).toMatchObject({ act: 'pause', overridden: ['idle'] });
    const over = at(signalsAt(3_600_000, { idleMs: 0, programs: [] }, { manual }));
    expect(over.cpu).toMatchObject({ act: 'pause', overridden: [] });
    expect(over.manual).toBeNull();
  });

  it('a start never goes against sleep and heat', () => {
    expect(OVERRIDABLE).not.toContain('suspended');
    expect(OVERRIDABLE).not.toContain('temperature');
  });

  it('a snooze ends after its time, whatever becomes of the wall clock', () => {
    const at = machine(rulesOf());
    const manual: ManualOrder = { order: 'pause', until: 60_000 };
    expect(at(signalsAt(0, {}, { manual })).cpu).toMatchObject({ act: 'pause', until: NOON + 60_000 });
    expect(at(signalsAt(59_000, {}, { manual, now: NOON + 86_400_000 })).cpu.act).toBe('pause');
    expect(at(signalsAt(60_000, {}, { manual, now: NOON - 86_400_000 })).cpu.act).toBe('run');
  });

  it('a pause until idle is over once the user was away for long enough, and stays over', () => {
    const at = machine(rulesOf({ idle: { afterMs: 60_000 } }));
    const manual: ManualOrder = { order: 'pause-until-idle' };
    expect(at(signalsAt(0, {}, { manual })).cpu.act).toBe('pause');
    expect(at(signalsAt(1, { idleMs: 59_000 }, { manual })).manual).toEqual(manual);
    const over = at(signalsAt(2, { idleMs: 60_000 }, { manual }));
    expect([over.cpu.act, over.manual]).toEqual(['run', null]);
  });

  it('finishing the shard first is for the user alone: nothing else lets it take as long as it likes', () => {
    const rules = rulesOf({ yielding: { finishWithinMs: 2000 } });
    const manual: ManualOrder = { order: 'finish' };
    expect(machine(rules)(signalsAt(0, {}, { manual })).cpu.graceMs).toBeNull();
    expect(machine(rules)(signalsAt(0, { programs: GAME }, { manual })).cpu.graceMs).toBe(2000);
    expect(machine(rules)(signalsAt(0, { programs: GAME })).cpu.graceMs).toBe(2000);
    expect(machine(rules)(signalsAt(0, {}, { manual: { order: 'pause', until: null } })).cpu.graceMs).toBe(0);
    expect(machine(rules)(signalsAt(0, { programs: GAME }, { suspended: true })).cpu.graceMs).toBe(0);
  });
});

describe('each GPU', () => {
  it('is decided for by itself', () => {
    const at = machine(rulesOf());
    const hot = at(signalsAt(0, { gpu: { temperatureC: 95 } }));
    expect([hot.cpu.act, hot.gpu.act, hot.gpu.graceMs]).toEqual(['run', 'pause', 0]);
    expect(messageOf(hot.gpu.reason)).toBe("The GPU is above 87 °C. I'll go on when it is down to 70 °C.");
  });

  it('stays paused between the value that pauses and the one that lets it go on', () => {
    const at = machine(rulesOf({ temperature: { targetC: null } }));
    expect(at(signalsAt(0, { gpu: { otherLoad: 0.2 } })).gpu.act).toBe('run');
    expect(at(signalsAt(1, { gpu: { otherLoad: 0.31 } })).gpu.act).toBe('pause');
    expect(at(signalsAt(60_000, { gpu: { otherLoad: 0.2 } })).gpu).toMatchObject({ act: 'pause', until: null });
    expect(at(signalsAt(61_000, { gpu: { otherLoad: 0.1 } })).gpu).toMatchObject({ act: 'pause', until: NOON + 91_000 });
    expect(at(signalsAt(80_000, { gpu: { otherLoad: 0.2 } })).gpu).toMatchObject({ act: 'pause', until: null });
    expect(at(signalsAt(81_000, { gpu: { otherLoad: 0.1 } })).gpu.act).toBe('pause');
    expect(at(signalsAt(111_000, { gpu: { otherLoad: 0.1 } })).gpu.act).toBe('run');
  });

  it('whose sensor disappears goes on after the wait, and is not cooled by a guess', () => {
    const at = machine(rulesOf());
    expect(at(signalsAt(0, { gpu: { temperatureC: 95 } })).gpu.act).toBe('pause');
    expect(at(signalsAt(1000)).gpu.act).toBe('pause');
    expect(at(signalsAt(16_000)).gpu).toMatchObject({ act: 'run', duty: 1 });
  });

  it('gets less to do while it slows itself down for heat', () => {
    const at = machine(rulesOf());
    const throttled = { thermal: true, power: false };
    let duty = 1;
    for (let steady = 0; steady < 20_000; steady += 1000) duty = at(signalsAt(steady, { gpu: { throttled } })).gpu.duty;
    expect(duty).toBeLessThan(0.95);
  });
});

describe('the machine', () => {
  it('on battery pauses, or works down to a charge and waits for a higher one', () => {
    const power = (source: string, percent: number | null) => ({ power: { source, percent } });
    expect(machine(rulesOf())(signalsAt(0, power('battery', 100))).cpu.reason.key).toBe('policy.battery');
    expect(machine(rulesOf())(signalsAt(0, power('mains', 5))).cpu.act).toBe('run');
    const at = machine(rulesOf({ battery: { onBattery: 'run', belowPercent: 40, resumeAbovePercent: 60 } }));
    expect(at(signalsAt(0, power('battery', 41))).cpu.act).toBe('run');
    expect(at(signalsAt(1, power('battery', 39))).cpu.act).toBe('pause');
    expect(at(signalsAt(60_000, power('battery', 59))).cpu.act).toBe('pause');
    at(signalsAt(61_000, power('mains', 59)));
    expect(at(signalsAt(71_000, power('mains', 59))).cpu.act).toBe('run');
  });

  it('works in its hours alone, and says when they begin', () => {
    const nights = { only: true, windows: [{ days: [6], fromMinute: 23 * 60, toMinute: 7 * 60 }] };
    const at = machine(rulesOf({ schedule: nights }));
    expect(at(signalsAt(0)).cpu).toMatchObject({ act: 'pause', until: NOON + 11 * 3_600_000 });
    expect(machine(rulesOf({ schedule: nights }))(signalsAt(0, {}, { now: NOON + 12 * 3_600_000 })).cpu.act).toBe('run');
    const never = machine(rulesOf({ schedule: { only: true, windows: [] } }));
    expect(messageOf(never(signalsAt(0)).cpu.reason)).toContain('Your hours are empty');
  });

  it('follows the local clock through daylight saving: the hour moves with the zone', () => {
    const from2 = { only: true, windows: [{ days: [0], fromMinute: 120, toMinute: 180 }] };
    const sunday = (hourUtc: number, utcOffsetMinutes: number) =>
      machine(rulesOf({ schedule: from2 }))(signalsAt(0, {}, { now: Date.UTC(2026, 9, 25, hourUtc, 30), utcOffsetMinutes })).cpu.act;
    // On this day in Berlin 02:30 comes twice, first as summer time.
    expect([sunday(0, 120), sunday(1, 60), sunday(2, 60)]).toEqual(['run', 'run', 'pause']);
  });

  it('is quiet when it is to be: less, or not at all', () => {
    const windows = [{ days: [6], fromMinute: 0, toMinute: 1440 }];
    expect(machine(rulesOf({ quiet: { windows, duty: 0.3 } }))(signalsAt(0)).cpu).toMatchObject({ act: 'throttle', duty: 0.3 });
    expect(machine(rulesOf({ quiet: { windows, duty: 0 } }))(signalsAt(0)).cpu).toMatchObject({ act: 'pause', until: NOON + 43_200_000 });
  });

  it('pauses for dear power and for too little profit, where the user named a limit', () => {
    const prices = rulesOf({ electricity: { maxPerKwh: 0.3 }, profit: { minPerHour: 0.01, resumeAbovePerHour: 0.02 } });
    expect(machine(prices)(signalsAt(0, { electricityPerKwh: 0.31 })).cpu.rules).toEqual(['electricity']);
    expect(machine(prices)(signalsAt(0, { profitPerHour: 0.009 })).cpu.rules).toEqual(['profit']);
    expect(machine(prices)(signalsAt(0)).cpu.act).toBe('run');
    expect(machine(rulesOf())(signalsAt(0, { electricityPerKwh: 99, profitPerHour: -5 })).cpu.act).toBe('run');
  });

  it('keeps all reasons, and tells the one that somebody can do something about', () => {
    const at = machine(rulesOf({ metered: { pause: true } }));
    const both = at(signalsAt(0, { programs: GAME, metered: true })).cpu;
    expect([both.rules, both.reason.key]).toEqual([['programs', 'metered'], 'policy.programs']);
    // The game is closed and only waited out; the network still says no.
    expect(at(signalsAt(1000, { programs: [], metered: true })).cpu.reason.key).toBe('policy.metered');
  });

  it('is looked at again before the next thing that is due by itself', () => {
    const at = machine(rulesOf());
    at(signalsAt(0, { programs: GAME }));
    expect(at(signalsAt(1000, { programs: [] })).wakeAt).toBe(16_000);
    expect(at(signalsAt(50_000, { programs: [] })).wakeAt).toBe(61_000);
    expect(at(signalsAt(60_000, {}, { manual: { order: 'pause', until: 60_500 } })).wakeAt).toBe(60_500);
  });

  it('is decided for from any number of programs at once', () => {
    const crowd = Array.from({ length: 500 }, (_, pid) => ({ name: `Game ${pid}`, pid }));
    expect(machine(rulesOf())(signalsAt(0, { programs: crowd })).cpu.reason.params).toMatchObject({ name: 'Game 0', more: 499 });
    expect(decide(signalsAt(0, { gpu: {} }), rulesOf(), {}, [GPU]).decisions).toHaveLength(1);
  });
});
