import { expect, it } from 'vitest';
import { PRESET_NAMES, Rules, RulesChange } from '../../../core/contract/rules.ts';
import { SettingsChange } from '../../../core/contract/settings.ts';
import { changedRules } from '../../../core/policy/presets.ts';
import { programKey, watchedPrograms } from '../../../core/policy/programs.ts';
import { rulesOf } from './scene.ts';

it('the defaults are the preset Gaming PC, and every preset is one that can be kept', () => {
  expect(changedRules(rulesOf(), { preset: 'gaming-pc' })).toEqual(rulesOf());
  for (const preset of PRESET_NAMES) {
    const rules = changedRules(rulesOf(), { preset });
    expect(rules.preset).toBe(preset);
    expect(Rules.parse(JSON.parse(JSON.stringify(rules)))).toEqual(rules);
  }
});

it('a preset that is changed is the user’s own, and changed back it is the preset again', () => {
  const quiet = changedRules(rulesOf(), { preset: 'quiet' });
  const own = changedRules(quiet, { limits: { duty: 0.4 } });
  expect([own.preset, own.idle]).toEqual([null, quiet.idle]);
  expect(changedRules(own, { limits: { duty: 0.5 } }).preset).toBe('quiet');
});

it('a preset leaves the programs, the tariff and the power limit that the user gave', () => {
  const own = changedRules(rulesOf(), {
    programs: { pause: true, added: ['doom.exe'], removed: ['blender'], resumeAfterMs: 5000 },
    electricity: { currency: 'USD', tariff: { kind: 'fixed', perKwh: 0.2 }, maxPerKwh: null, resumeAfterMs: 60_000 },
    power: { maxWatts: null, gpuLimitWatts: 200, granted: true },
  });
  const always = changedRules(own, { preset: 'always' });
  expect(always).toMatchObject({
    preset: 'always',
    programs: { pause: false, added: ['doom.exe'], removed: ['blender'] },
    electricity: { currency: 'USD' },
    power: { gpuLimitWatts: 200, granted: true },
  });
});

it('a threshold to go on at that isn’t beyond the one to pause at is refused', () => {
  for (const change of [
    { otherGpu: { aboveShare: 0.2, resumeBelowShare: 0.2 } },
    { temperature: { pauseAboveC: 70, resumeBelowC: 70 } },
    { battery: { belowPercent: 60, resumeAbovePercent: 60 } },
    { profit: { minPerHour: 1, resumeAbovePerHour: 0.5 } },
    { limits: { duty: 0 } },
    { programs: { added: Array.from({ length: 5001 }, String) } },
  ]) {
    expect(RulesChange.safeParse(change).success, JSON.stringify(change).slice(0, 60)).toBe(false);
  }
});

it('changing one section leaves out all others', () => {
  expect(SettingsChange.parse({ rules: { limits: {} } })).toEqual({ rules: { limits: { duty: 1 } } });
});

it('a program is known by its file, wherever it lies and however it is written; own ones come on top, and some can be let be', () => {
  expect(programKey('Z:\\games\\Cyberpunk2077.EXE')).toBe('cyberpunk2077');
  expect(programKey('/usr/bin/blender')).toBe('blender');
  const watched = watchedPrograms({ pause: true, resumeAfterMs: 1000, added: ['My Game.exe'], removed: ['/usr/bin/Blender'] });
  expect([watched.get('cyberpunk2077'), watched.get('my game'), watched.has('blender')]).toEqual(['Cyberpunk2077', 'My Game', false]);
});
