import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bubblewrap, chromium, installPlan, npmCommand, programExists } from '../scripts/setup.mjs';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json'));
const lock = JSON.parse(read('package-lock.json'));

test('every dependency has an exact version', () => {
  const versions = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies };
  expect(Object.keys(versions)).not.toEqual([]);
  for (const [name, version] of Object.entries(versions)) expect(`${name}@${version}`).toMatch(/@\d+\.\d+\.\d+(-[\w.]+)?$/);
});

test('the lockfile names no registry and agrees with package.json', () => {
  expect(read('package-lock.json')).not.toMatch(/"resolved"|registry|\.tgz/);
  expect(lock.packages[''].dependencies).toEqual(manifest.dependencies);
  expect(lock.packages[''].devDependencies).toEqual(manifest.devDependencies);
});

test('installing runs no package script but that of Node', () => {
  expect(Object.entries(manifest.allowScripts).filter(([, allowed]) => allowed)).toEqual([['node', true]]);
  expect(read('.npmrc')).toContain('onnxruntime-node-install=skip');
});

test('continuous integration ends with the tests, so that their summary is its last line', () => {
  const lines = read('.ci/run').trimEnd().split('\n');
  expect(lines[0]).toBe('#!/usr/bin/env bash');
  expect(lines).toContain('set -euo pipefail');
  expect(lines.slice(-2)).toEqual(['npm run check', 'npm test']);
  expect(statSync(join(root, '.ci/run')).mode & 0o111).not.toBe(0);
  expect(statSync(join(root, 'cli/hearthlend.mjs')).mode & 0o111).not.toBe(0);
});

test('system packages are installed by root and by a sudo that does not ask, and otherwise named with the command', () => {
  const both = [bubblewrap, chromium];
  const asRoot = installPlan(both, { manager: 'apt', root: true, sudo: false }).install;
  expect(asRoot?.[0]?.at(-1)).toBe('update');
  expect(asRoot?.[1]?.join(' ')).toMatch(/^env DEBIAN_FRONTEND=noninteractive apt-get .* install -y --no-install-recommends bubblewrap$/);
  expect(asRoot).toHaveLength(3);
  const bySudo = installPlan(both, { manager: 'apt', root: false, sudo: true }).install;
  expect(bySudo?.every((command: string[]) => command[0] === 'sudo' && command[1] === '-n')).toBe(true);
  expect(installPlan(both, { manager: 'apt', root: false, sudo: false })).toEqual({
    say: 'sudo apt-get install bubblewrap chromium fonts-liberation',
  });
  expect(installPlan([bubblewrap], { manager: 'dnf', root: true, sudo: true }).say).toBe('sudo dnf install bubblewrap');
  expect(installPlan([chromium], { manager: 'brew', root: false, sudo: false }).say).toBe('brew install --cask google-chrome');
  expect(installPlan([bubblewrap], { manager: undefined, root: false, sudo: false }).say).toContain('bubblewrap');
});

test('dependencies are installed by the npm that runs the script, else by the one on PATH', () => {
  expect(npmCommand({ npm_execpath: '/n/npm-cli.js', npm_node_execpath: '/n/node' })).toEqual({
    command: '/n/node',
    args: ['/n/npm-cli.js'],
    shell: false,
  });
  expect(npmCommand({ npm_execpath: '/n/pnpm.cjs' }, 'linux')).toEqual({ command: 'npm', args: [], shell: false });
  expect(npmCommand({}, 'win32')).toEqual({ command: 'npm', args: [], shell: true });
});

test('a program counts as installed when it is an executable file on PATH', () => {
  expect(programExists(['no-such-program', 'sh'])).toBe(process.platform !== 'win32');
  expect(programExists(['no-such-program'])).toBe(false);
  expect(programExists(['sh'], { PATH: '' })).toBe(false);
});
