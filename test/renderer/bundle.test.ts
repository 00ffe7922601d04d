import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BUILT_UI } from './open-page.ts';

const assets = join(BUILT_UI, 'assets');
const scripts = readdirSync(assets).filter((name) => name.endsWith('.js'));

test('the pages carry no signature library, and stay small', () => {
  const text = scripts.map((name) => readFileSync(join(assets, name), 'utf8')).join('');
  expect(text).not.toMatch(/secp256k1|keccak256/);
  const bytes = scripts.reduce((sum, name) => sum + statSync(join(assets, name)).size, 0);
  // Of both pages: the agent's and the operator's.
  expect(bytes).toBeLessThan(800_000);
});

test('the fonts come with the page', () => {
  const fonts = readdirSync(assets).filter((name) => name.endsWith('.woff2'));
  expect(fonts.some((name) => name.startsWith('inter-latin-wght-normal'))).toBe(true);
  expect(fonts.some((name) => name.startsWith('jetbrains-mono-latin-wght-normal'))).toBe(true);
});
