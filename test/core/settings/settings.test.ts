import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Settings } from '../../../core/contract/settings.ts';
import { loadSettings, saveSettings } from '../../../core/settings/settings.ts';

const file = () => join(mkdtempSync(join(tmpdir(), 'settings-')), 'settings.json');

test('without a file, and where a file leaves something out, the defaults hold', () => {
  const path = file();
  expect(loadSettings(path)).toEqual(Settings.parse({}));
  writeFileSync(path, '{"theme":"dark","worker":{"threads":2}}');
  expect(loadSettings(path)).toEqual({ ...Settings.parse({}), theme: 'dark', worker: { ...Settings.parse({}).worker, threads: 2 } });
});

test('settings that are saved are read again', () => {
  const path = file();
  const settings = fc.record({
    acceptedIsolation: fc.subarray(['os', 'chromium', 'process'] as const),
    practice: fc.record({ shardsPerDay: fc.integer({ min: 0, max: 1_000_000 }), minutesPerDay: fc.integer({ min: 0, max: 1440 }) }),
    worker: fc.record({
      kind: fc.constantFrom('auto', 'native', 'window'),
      threads: fc.option(fc.integer({ min: 1, max: 256 })),
      modelMemoryBytes: fc.integer({ min: 1 << 20, max: 2 ** 50 }),
      gpus: fc.record({
        use: fc.option(fc.subarray(['0000:01:00.0', '0000:41:00.0/gi1/ci0', 'gpu-0'])),
        memoryShare: fc.double({ min: 0.05, max: 1, noNaN: true }),
        backend: fc.constantFrom('auto', 'cpu', 'webgpu', 'cuda'),
      }),
    }),
    models: fc.record({ diskBytes: fc.integer({ min: 1 << 20, max: 2 ** 50 }) }),
    wallet: fc.record({ autoLockMinutes: fc.integer({ min: 1, max: 1440 }) }),
    requests: fc.record({ port: fc.integer({ min: 0, max: 65_535 }) }),
    chains: fc.constant(Settings.parse({}).chains),
    claims: fc.constant(Settings.parse({}).claims),
    prices: fc.constant(Settings.parse({}).prices),
    rules: fc.constant(Settings.parse({}).rules),
    loadWatts: fc.option(fc.integer({ min: 1, max: 5000 })),
    theme: fc.constantFrom('system', 'dark', 'light'),
    logLevel: fc.constantFrom('debug', 'info', 'warn', 'error'),
    startAtLogin: fc.boolean(),
  });
  fc.assert(
    fc.property(settings, (value) => {
      saveSettings(path, value);
      expect(loadSettings(path)).toEqual(value);
    }),
    { numRuns: 20 },
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(path, '..'))).toEqual(['settings.json']);
});

test.each([
  ['{"theme":"pink"}', /^theme: /],
  ['{"worker":{"threads":0}}', /^worker\.threads: /],
  ['{"them":"dark"}', /them/],
  ['{"theme":', /JSON/],
  ['[]', /./],
])('%s is refused, naming what is wrong, and the file stays', (text, detail) => {
  const path = file();
  writeFileSync(path, text);
  const invalid = expect.objectContaining({ code: 'SETTINGS_INVALID', params: { path, detail: expect.stringMatching(detail) } });
  expect(() => loadSettings(path)).toThrow(invalid);
  expect(readFileSync(path, 'utf8')).toBe(text);
});

test('a file of absurd size is not read, and wrong settings are not saved', () => {
  const path = file();
  expect(() => saveSettings(path, { ...Settings.parse({}), theme: 'pink' as never })).toThrow(
    expect.objectContaining({ code: 'SETTINGS_INVALID' }),
  );
  expect(readdirSync(join(path, '..'))).toEqual([]);
  writeFileSync(path, ' '.repeat(2 << 20));
  expect(() => loadSettings(path)).toThrow(expect.objectContaining({ code: 'SETTINGS_INVALID' }));
  expect(() => saveSettings(join(path, 'x'), Settings.parse({}))).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE' }));
});
