import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseWorker, type WorkerSituation } from '../../../core/gpu-window/choose.ts';

const sealed: WorkerSituation = {
  setting: 'auto',
  platform: 'linux',
  accepted: ['os', 'chromium'],
  native: 'os',
  window: { level: 'chromium', works: true },
};
const browser = (works: boolean | null) => ({ level: 'chromium' as const, works });

test.each<[string, Partial<WorkerSituation>, 'native' | 'window']>([
  ['with a sandbox around it, the native worker computes', {}, 'native'],
  ['on Windows the window does', { platform: 'win32', native: 'process', window: browser(null) }, 'window'],
  [
    'on Windows the native worker does where the browser found no GPU',
    { platform: 'win32', native: 'process', window: browser(false) },
    'native',
  ],
  ['on Windows the native worker does where there is no browser', { platform: 'win32', native: 'process', window: null }, 'native'],
  ['without a sandbox around it, the window does, if it was seen to work', { native: 'process' }, 'window'],
  [
    'without a sandbox around it, the native worker goes on while that is not known',
    { native: 'process', window: browser(null) },
    'native',
  ],
  ['whose user accepts a bare process keeps the native worker', { native: 'process', accepted: ['process'] }, 'native'],
  ['a browser without its own sandbox is no better', { native: 'process', window: { level: 'process', works: true } }, 'native'],
  ['what the user sets holds', { setting: 'window', window: browser(false) }, 'window'],
  ['what the user sets holds on Windows', { setting: 'native', platform: 'win32', native: 'process' }, 'native'],
])('%s', (_what, situation, chosen) => {
  expect(chooseWorker({ ...sealed, ...situation })).toBe(chosen);
});

test('without anything that can host a page the native worker computes, whatever else is', () => {
  const situation = fc.record({
    setting: fc.constantFrom('auto', 'native', 'window'),
    platform: fc.constantFrom('linux', 'darwin', 'win32'),
    accepted: fc.subarray(['os', 'chromium', 'process'] as const),
    native: fc.constantFrom('os', 'process'),
    window: fc.constant(null),
  });
  fc.assert(fc.property(situation, (each) => chooseWorker(each as WorkerSituation) === 'native'));
});
