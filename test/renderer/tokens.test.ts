import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { contrast } from './contrast.ts';

const css = readFileSync(join(import.meta.dirname, '../../renderer/style/tokens.css'), 'utf8');
const colours = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/g)].map(([, role, light, dark]) => [role, { light, dark }]),
);

/** Text or sign → the grounds that it stands on. */
const pairs: [string, string[]][] = [
  ['text', ['ground', 'panel', 'raise']],
  ['soft', ['ground', 'panel', 'raise']],
  ['faint', ['ground', 'panel', 'raise']],
  ['ember', ['ground', 'panel', 'ember-soft']],
  ['on-ember', ['ember', 'ember-press']],
  ['ok', ['ground', 'panel']],
  ['warn', ['ground', 'panel']],
  ['bad', ['ground', 'panel']],
];

test.each(['light', 'dark'] as const)('every text colour is at 4.5:1 or better on each of its grounds, in %s', (theme) => {
  const ratios = pairs.flatMap(([text, grounds]) =>
    grounds.map((ground) => ({ pair: `${text} on ${ground}`, ratio: contrast(colour(text, theme), colour(ground, theme)) })),
  );
  expect(ratios.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
});

test.each(['light', 'dark'] as const)('what is drawn, not written, is at 3:1 or better, in %s', (theme) => {
  for (const [sign, ground] of [
    ['ember', 'raise'],
    ['hold', 'raise'],
    ['edge', 'panel'],
  ] as const)
    expect(contrast(colour(sign, theme), colour(ground, theme)), `${sign} on ${ground}`).toBeGreaterThanOrEqual(3);
});

function colour(role: string, theme: 'light' | 'dark'): string {
  const found = colours.get(role)?.[theme];
  if (found === undefined) throw new Error(`no colour ${role}`);
  return found;
}
