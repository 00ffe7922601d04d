import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

test('every test that SECURITY.md points to is there', () => {
  const root = join(import.meta.dirname, '..');
  const named = [...readFileSync(join(root, 'SECURITY.md'), 'utf8').matchAll(/`([\w./-]+\.test\.ts|test\/[\w./-]+)`/g)].map(
    (match) => match[1] as string,
  );
  expect(named.length).toBeGreaterThan(8);
  // A bare name lies beside the one before it.
  let folder = '';
  for (const name of named) {
    const path = name.includes('/') ? name : join(folder, name);
    folder = name.includes('/') ? dirname(name) : folder;
    expect(existsSync(join(root, path)), path).toBe(true);
  }
});
