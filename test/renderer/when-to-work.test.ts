import fc from 'fast-check';
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { RuleName } from '../../core/contract/policy.ts';
import { PRESET_NAMES, Rules, RulesChange } from '../../core/contract/rules.ts';
import { changedRules } from '../../core/policy/presets.ts';
import { type Field, HEAT, IN_USE, OTHERS, POWER, QUIET } from '../../renderer/when-to-work/fields.ts';
import { asideSince, toldDecision } from '../../renderer/when-to-work/headline.ts';
import { decision, pause, policyStatus } from '../fakes/policy.ts';
import { crowded, practising } from '../fakes/snapshots.ts';
import { contrast } from './contrast.ts';
import { overflowing, textColours } from './look.ts';
import { closePage, launchBrowser, type Opened, openPage, type View } from './open-page.ts';

let browser: Browser;
let opened: Opened | undefined;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  if (opened !== undefined) expect(await closePage(opened)).toEqual([]);
  opened = undefined;
});

const OWN = Rules.parse({
  preset: null,
  idle: { whenInUse: 'throttle' },
  schedule: { only: true, windows: [{ days: [1, 2], fromMinute: 1140, toMinute: 480 }] },
  quiet: { windows: [{ days: [0], fromMinute: 1320, toMinute: 480 }] },
  programs: { added: ['blender'], removed: ['Factorio'] },
  power: { granted: true },
  otherCpu: { pause: true },
  battery: { onBattery: 'run' },
});
const playing = decision({
  ...{ act: 'pause', duty: 0, rules: ['programs'] satisfies RuleName[] },
  reason: { key: 'policy.programs', params: { name: 'Cyberpunk 2077', more: 0, seconds: 60 } },
});

interface Scene {
  rules?: Rules;
  policy?: Opened['agent']['policy'];
  view?: View;
  snapshot?: Opened['agent']['snapshot'];
}

async function openWhen({ rules, policy, view = {}, snapshot = practising() }: Scene = {}): Promise<Opened> {
  opened = await openPage(browser, snapshot, view);
  const { page, agent } = opened;
  if (rules !== undefined) agent.settings = { ...agent.settings, rules };
  if (policy !== undefined) agent.policy = policy;
  await page.getByRole('link', { name: 'When to work' }).click();
  await page.locator('.when').waitFor();
  return opened;
}

test('the page says by which rules it works, what stands in the way now, and how often it stepped aside today', async () => {
  const pauses = [
    pause({ from: Date.now() - 3 * 86_400_000, to: Date.now() - 3 * 86_400_000 + 1000 }),
    pause({ from: Date.now() - 1, to: null }),
  ];
  const { page } = await openWhen({ policy: { status: policyStatus([decision(), playing]), pauses } });
  await page.getByRole('heading', { level: 1, name: 'I work until you play' }).waitFor();
  await page.locator('.top').getByText("Cyberpunk 2077 is running. I'll go on 60 s after it closes.").waitFor();
  expect(await page.locator('.number').textContent()).toBe('1 time stepped aside today, 41 ms on average');
  const rows = page.getByRole('region', { name: 'When I stepped aside' }).locator('tbody tr');
  expect(await rows.count()).toBe(2);
  expect(await rows.first().textContent()).toMatch(/Cyberpunk 2077 is running.*so far41 ms1 GB, GPU 7 GB$/);
});

test('when the state changes, what stands in the way and the last pause are asked for anew', async () => {
  const { page, agent } = await openWhen();
  await page.getByText('Nothing stands against it, so I work.').waitFor();
  await page.getByText('Not once in the last 7 days.').waitFor();
  agent.policy = { status: policyStatus([playing]), pauses: [pause()] };
  agent.change({ state: { name: 'paused', reason: playing.reason, since: Date.now() + 1, until: null } });
  await page.locator('.top').getByText('Cyberpunk 2077 is running').waitFor();
  await page.getByRole('region', { name: 'When I stepped aside' }).locator('tbody tr').waitFor();
});

test('a preset is chosen, and a change of one rule makes them the user’s own', async () => {
  const { page } = await openWhen();
  await page.getByRole('radio', { name: /^Laptop/ }).click();
  await page.getByRole('heading', { level: 1, name: 'I work while you are away, plugged in' }).waitFor();
  expect(await page.getByRole('radio', { name: 'I pause' }).first().isChecked()).toBe(true);
  await page.getByLabel('Pause while others use the processor').click();
  await page.getByRole('heading', { level: 1, name: 'I work by your own rules' }).waitFor();
  await page.getByText('These are your own rules').waitFor();
});

test('a number counts at Enter and when its field is left; what does not fit is said and changes nothing', async () => {
  const { page, agent } = await openWhen();
  const away = page.getByLabel('You are away after');
  await away.fill('12');
  const first = agent.called('settings.set');
  await away.press('Enter');
  expect((await first).input).toMatchObject({ rules: { idle: { afterMs: 720_000 } } });
  await page.getByRole('heading', { level: 1, name: 'I work by your own rules' }).waitFor();
  const hot = page.getByLabel('Pause above');
  const before = agent.calls.length;
  await hot.fill('900');
  await hot.press('Enter');
  await page.getByRole('alert').getByText('A number from 50 to 120, please.').waitFor();
  expect(agent.calls.slice(before).filter(({ name }) => name === 'settings.set')).toEqual([]);
  const second = agent.called('settings.set');
  await hot.fill('80,5');
  await page.getByLabel('Work at most').focus();
  expect((await second).input).toMatchObject({ rules: { temperature: { pauseAboveC: 80.5, resumeBelowC: 65.5 } } });
  const target = page.getByLabel('Keep the GPU at');
  const third = agent.called('settings.set');
  await target.fill('');
  await target.press('Enter');
  expect((await third).input).toMatchObject({ rules: { temperature: { targetC: null } } });
});

test('a change that the agent refuses is said, and the rule stays as it was', async () => {
  const { page, agent } = await openWhen();
  agent.overrides['settings.set'] = () => Promise.reject(new HearthlendError('DISK_FULL', { path: '/data' }));
  await page.getByLabel('Pause while a program fills the screen').click();
  await page.getByRole('alert').getByText('The disk with /data is full.').waitFor();
  expect(await page.getByLabel('Pause while a program fills the screen').isChecked()).toBe(true);
});

test('programs are added by name, or as the one that fills the screen now; those of the list can be taken out and put back', async () => {
  const signals = { programs: { value: [{ name: 'Cyberpunk 2077', pid: 7 }], at: 1 }, fullScreen: { value: { name: 'Resolve' }, at: 1 } };
  const { page, agent } = await openWhen({ policy: { status: policyStatus([playing], signals), pauses: [] } });
  const card = page.getByRole('region', { name: 'Games and programs' });
  await card.getByRole('button', { name: 'Add Resolve, which fills the screen now' }).click();
  await card.getByRole('button', { name: 'Remove: Resolve' }).waitFor();
  await card.getByLabel('Another program').fill('  blender ');
  await page.keyboard.press('Enter');
  await card.getByRole('button', { name: 'Remove: blender' }).waitFor();
  await card.getByRole('button', { name: 'Not for this one: Cyberpunk 2077' }).click();
  await card.getByRole('button', { name: 'Put back: Cyberpunk 2077' }).waitFor();
  expect(agent.settings.rules.programs).toMatchObject({ added: ['Resolve', 'blender'], removed: ['Cyberpunk 2077'] });
  await card.getByRole('button', { name: 'Put back: Cyberpunk 2077' }).click();
  await card.getByRole('button', { name: 'Remove: Resolve' }).click();
  await expect.poll(() => agent.settings.rules.programs).toMatchObject({ added: ['blender'], removed: [] });
});

test('what runs now is shown at a press, to be added from, and why where it can’t be', async () => {
  const { page, agent } = await openWhen();
  const card = page.getByRole('region', { name: 'Games and programs' });
  agent.overrides['policy.programs'] = async () => ['blender', 'Cities.exe'];
  await card.getByRole('button', { name: 'Add what is running now' }).click();
  await card.getByRole('button', { name: 'Add: Cities.exe' }).click();
  await card.getByRole('button', { name: 'Remove: Cities.exe' }).waitFor();
  expect(await card.getByRole('button', { name: 'Add: Cities.exe' }).count()).toBe(0);
  await card.getByRole('button', { name: 'Add: blender' }).waitFor();
  await card.getByRole('button', { name: 'Hide what is running' }).click();
  agent.overrides['policy.programs'] = () => Promise.reject(new HearthlendError('PROGRAMS_UNKNOWN', { detail: 'freebsd' }));
  await card.getByRole('button', { name: 'Add what is running now' }).click();
  await card.getByRole('alert').getByText("Type the name of the program's file instead.").waitFor();
});

test('hours are added, changed and removed from the keyboard, and keep at least one day', async () => {
  const { page, agent } = await openWhen();
  const card = page.getByRole('region', { name: 'Hours' });
  await card.getByLabel('Only at these times').click();
  await card.getByRole('button', { name: 'Add times' }).first().click();
  const first = card.getByRole('group', { name: 'Times, number 1' });
  for (const day of ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']) {
    await first.getByLabel(day).focus();
    await page.keyboard.press('Space');
    await expect.poll(() => first.getByLabel(day).isChecked()).toBe(false);
  }
  await first.getByLabel('Sunday').click();
  await first.getByLabel('from').fill('21:30');
  await expect.poll(() => agent.settings.rules.schedule).toEqual({ only: true, windows: [{ days: [0], fromMinute: 1290, toMinute: 420 }] });
  await first.getByRole('button', { name: 'Remove' }).click();
  await expect.poll(() => agent.settings.rules.schedule.windows).toEqual([]);
});

test('work is started in spite of the rules for an hour, or put off until the user is away, or until this task is done', async () => {
  const { page, agent } = await openWhen({ policy: { status: policyStatus([playing]), pauses: [] } });
  agent.overrides['work.start'] = async () => ({ overrides: ['programs'], until: Date.now() + 3_600_000 });
  const started = agent.called('work.start');
  await page.getByRole('button', { name: 'Work anyway for 1 hour' }).click();
  expect((await started).input).toEqual({ forMs: 3_600_000 });
  agent.policy = { status: policyStatus(), pauses: [] };
  agent.change({ state: { name: 'working', reason: { key: 'reason.practising', params: {} }, since: Date.now() + 1, until: null } });
  const away = agent.called('work.pause');
  await page.getByRole('button', { name: "Pause until I'm away" }).click();
  expect((await away).input).toEqual({ forMs: null, untilIdle: true });
  const finish = agent.called('work.pause');
  await page.getByRole('button', { name: 'Finish this task, then pause' }).click();
  expect((await finish).input).toEqual({ forMs: null, finish: true });
});

test('rules that can’t be read are said to be so', async () => {
  opened = await openPage(browser, practising());
  const { page, agent } = opened;
  agent.overrides['policy.status'] = () => Promise.reject(new HearthlendError('DISK_FULL', { path: '/data' }));
  await page.getByRole('link', { name: 'When to work' }).click();
  await page.getByRole('heading', { level: 1, name: "Your rules can't be read just now" }).waitFor();
  await page.getByText('The disk with /data is full.').waitFor();
});

test('whatever is typed into a field within its bounds, the rules that come of it are valid, from every preset', () => {
  const fields = [IN_USE, OTHERS, HEAT, POWER, QUIET].flatMap((group) => group.flatMap(unfolded));
  const numbers = fields.filter((field) => field.kind === 'number');
  expect(numbers.length).toBeGreaterThan(15);
  fc.assert(
    fc.property(
      fc.constantFrom(...PRESET_NAMES),
      fc.constantFrom(...numbers),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (preset, field, share) => {
        const rules = changedRules(Rules.parse({}), { preset });
        const value = Math.round((field.min + share * (field.max - field.min)) / field.step) * field.step;
        const change = field.set(rules, Math.min(field.max, Math.max(field.min, value)));
        expect(RulesChange.safeParse(change).error?.issues ?? []).toEqual([]);
        if (field.optional === true) expect(RulesChange.safeParse(field.set(rules, null)).success).toBe(true);
      },
    ),
    { numRuns: 1000 },
  );
});

function unfolded(field: Field): Field[] {
  if (field.kind === 'switch') return [field, ...field.more.flatMap(unfolded)];
  if (field.kind === 'choice') return [field, ...field.options.flatMap(({ more = [] }) => more.flatMap(unfolded))];
  return [field];
}

test('of several devices that one is told of which works least, and only pauses that ended something count for the time', () => {
  expect(toldDecision(policyStatus([decision({ duty: 1 }), decision({ duty: 0.3 }), decision({ duty: 1 })]))?.duty).toBe(0.3);
  expect(toldDecision(policyStatus([]))).toBeUndefined();
  const pauses = [pause({ from: 10, yieldMs: 30 }), pause({ from: 20, yieldMs: null }), pause({ from: 30, yieldMs: 50 })];
  expect(asideSince(pauses, 0)).toEqual({ count: 3, yieldMs: 40 });
  expect(asideSince(pauses, 15)).toEqual({ count: 2, yieldMs: 50 });
  expect(asideSince([], 0)).toEqual({ count: 0, yieldMs: null });
});

test.each([
  ['narrow', { width: 320, height: 740 }],
  ['wide, at 200% zoom', { width: 640, height: 400, scale: 2 }],
  ['wide', { width: 1280, height: 800 }],
])('nothing overflows on this page: %s', async (_name, view) => {
  const long = 'pneumonoultramicroscopicsilicovolcanoconiosis'.repeat(3);
  const rules = { ...OWN, programs: { ...OWN.programs, added: [long, ...Array.from({ length: 60 }, (_, index) => `program-${index}`)] } };
  const policy = {
    status: policyStatus([playing], { fullScreen: { value: { name: long }, at: 1 } }),
    pauses: Array.from({ length: 30 }, (_, index) => pause({ from: index })),
  };
  const { page } = await openWhen({ rules, policy, view, snapshot: crowded() });
  const more = page.getByRole('button', { name: /^Show \d+ more$/ });
  while ((await more.count()) > 0) await more.first().click();
  expect(await overflowing(page)).toEqual([]);
});

test.each(['dark', 'light'] as const)('every text on this page is at 4.5:1 or better, also when it is old: %s', async (theme) => {
  const { page, agent } = await openWhen({ rules: OWN, policy: { status: policyStatus([playing]), pauses: [pause()] }, view: { theme } });
  const tooFaint = async () => (await textColours(page)).filter(({ colour, ground }) => contrast(colour, ground) < 4.5);
  expect(await tooFaint()).toEqual([]);
  await agent.stop();
  await page.locator('.stale').waitFor();
  await page.getByText('Not connected').first().waitFor();
  expect(await tooFaint()).toEqual([]);
});
