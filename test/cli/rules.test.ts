import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shownRule, typedRule } from '../../cli/commands/rule-values.ts';
import type { Signals } from '../../core/contract/policy.ts';
import type { CallInput } from '../../core/contract/rpc.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const window = fc.record({
  days: fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1 }),
  fromMinute: fc.nat(1440),
  toMinute: fc.nat(1440),
});

test('what a rule is shown as can be typed', () => {
  const price = fc.integer({ min: -100, max: 1000 }).map((cents) => cents / 100);
  const values = fc.oneof(
    fc.tuple(fc.constant('schedule.windows'), fc.array(window, { maxLength: 4 })),
    fc.tuple(
      fc.constant('programs.resumeAfterMs'),
      fc.integer({ min: 1, max: 86_400 }).map((seconds) => seconds * 1000),
    ),
    fc.tuple(
      fc.constant('otherGpu.aboveShare'),
      fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
    ),
    fc.tuple(fc.constant('electricity.tariff'), fc.record({ kind: fc.constant('fixed'), perKwh: price })),
    fc.tuple(
      fc.constant('electricity.tariff'),
      fc.record({ kind: fc.constant('hourly'), perKwh: fc.array(price, { minLength: 24, maxLength: 24 }) }),
    ),
    fc.tuple(fc.constant('temperature.targetC'), fc.option(fc.integer({ min: 40, max: 100 }))),
    fc.tuple(fc.constant('programs.pause'), fc.boolean()),
    fc.tuple(fc.constant('programs.added'), fc.array(fc.constantFrom('Doom.exe', 'blender', 'My Game.exe'))),
  );
  fc.assert(
    fc.property(values, ([key, value]) => {
      expect(typedRule(key, value, shownRule(key, value))).toEqual(value);
    }),
  );
});

test('hours are typed by days and ranges of days, around the end of the week too', () => {
  const typed = typedRule('schedule.windows', [], 'fri-mon 19:00-08:00; daily 12:30-13:00');
  expect(typed).toEqual([
    { days: [0, 1, 5, 6], fromMinute: 1140, toMinute: 480 },
    { days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 750, toMinute: 780 },
  ]);
  for (const wrong of ['someday 10:00-11:00', 'mon 10-11', 'mon 10:61-11:00', 'mon']) {
    expect(typedRule('schedule.windows', [], wrong), wrong).toBeUndefined();
  }
});

test('one rule is changed and the others of its kind stay; what is no preset any more says so', async () => {
  const app = new FakeApp();
  const console = openConsole(() => app);
  const set = (...argv: string[]) => console.run('rules', 'set', ...argv).exitCode;
  expect(await set('idle.whenInUse', 'pause')).toBe(0);
  expect(await set('idle.afterMs', '10m')).toBe(0);
  expect(app.settings.rules).toMatchObject({ preset: null, idle: { whenInUse: 'pause', afterMs: 600_000 } });
  expect(await set('preset', 'gaming-pc')).toBe(0);
  expect(app.settings.rules).toMatchObject({ preset: 'gaming-pc', idle: { whenInUse: 'run' } });
});

test('a rule that is none and a value that can not be are named, and change nothing', async () => {
  const app = new FakeApp();
  const before = structuredClone(app.settings.rules);
  const console = openConsole(() => app);
  for (const [argv, words] of [
    [['idle.when', 'pause'], 'There is no rule idle.when. Rules: preset, idle.whenInUse'],
    [['idle.afterMs', 'soon'], 'idle.afterMs'],
    [['otherGpu.resumeBelowShare', '90%'], 'must lie below'],
    [['preset', 'loud'], 'preset'],
  ] as const) {
    const command = console.run('rules', 'set', ...argv);
    expect(await command.exitCode, argv.join(' ')).toBe(2);
    expect(command.stderr.text).toContain(words);
  }
  expect(app.settings.rules).toEqual(before);
});

test('signals from a file are tested with times filled in, and bare values for readings', async () => {
  const app = new FakeApp();
  let asked: Signals | undefined;
  app.handlers['policy.test'] = async ({ signals }) => {
    asked = signals;
    return {
      decisions: [
        {
          device: 'cpu',
          act: 'pause',
          duty: 0,
          reason: { key: 'policy.battery', params: {} },
          rules: ['battery'],
          overridden: [],
          until: null,
          graceMs: 0,
        },
      ],
    };
  };
  const given = { power: { source: 'battery', percent: 20 }, idleMs: null, gpus: { '0000:01:00.0': { temperatureC: 95 } } };
  const console = openConsole(() => app, {
    keyboard: { present: false, ask: async () => '', lines: async () => JSON.stringify(given, null, 2).split('\n') },
  });
  const fromStdin = console.run('rules', 'test', '--signals', '-');
  expect(await fromStdin.exitCode).toBe(0);
  expect(fromStdin.stdout.text).toContain("cpu: pause. This machine runs on battery. I'll go on when it is plugged in.");
  expect(asked).toMatchObject({
    now: expect.any(Number),
    power: { value: { source: 'battery', percent: 20 }, at: 0 },
    idleMs: null,
    gpus: { '0000:01:00.0': { temperatureC: { value: 95, at: 0 }, otherLoad: null } },
  });

  writeFileSync(join(console.dataDir, 'signals.json'), JSON.stringify({ idleMs: 'long' }));
  const wrong = console.run('rules', 'test', '--signals', 'signals.json');
  expect(await wrong.exitCode).toBe(2);
  expect(wrong.stderr.text).toContain('idleMs');
  expect(await console.run('rules', 'test', '--signals', 'nowhere.json').exitCode).toBe(1);
});

test('a pause can wait for the task or last until the user is away, and a start can go against the rules for a time', async () => {
  const app = new FakeApp();
  const pauses: CallInput<'work.pause'>[] = [];
  app.handlers['work.pause'] = async (input) => {
    pauses.push(input);
    return {};
  };
  const console = openConsole(() => app);
  const agent = console.run('start', '--headless');
  await agent.stdout.seen(/running/i);
  const lines = async (...argv: string[]) => {
    const command = console.run(...argv);
    expect(await command.exitCode, command.stderr.text).toBe(0);
    return command.stdout.text;
  };
  expect(await lines('pause', '--after-task')).toContain('as soon as the task that runs is handed in');
  expect(await lines('pause', '--until-idle')).toContain('when you are away');
  expect(pauses).toEqual([
    { forMs: null, untilIdle: false, finish: true },
    { forMs: null, untilIdle: true, finish: false },
  ]);
  expect(JSON.parse(await lines('resume', '--for', '1h', '--json'))).toMatchObject({ event: 'resumed', overrides: [], until: 3_600_000 });
  expect(await console.run('pause', '--until-idle', '--for', '1h').exitCode).toBe(2);
  agent.signal('SIGINT');
  agent.signal('SIGINT');
  await agent.exitCode;
});
