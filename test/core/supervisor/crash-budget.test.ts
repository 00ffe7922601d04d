import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterFailure, backOffMs, UNSPENT } from '../../../core/supervisor/crash-budget.ts';

test('the first failure costs no pause, the next ones ever longer pauses up to five minutes', () => {
  expect([1, 2, 3, 4, 5].map(backOffMs)).toEqual([0, 1_000, 2_000, 4_000, 8_000]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (failures) => {
      expect(backOffMs(failures + 1)).toBeGreaterThanOrEqual(backOffMs(failures));
      expect(backOffMs(failures)).toBeLessThanOrEqual(300_000);
    }),
  );
});

test('failures in a row are counted, and the next start is never before the last failure', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1_000_000 }), { minLength: 1, maxLength: 50 }), (pausesMs) => {
      let now = 0;
      let budget = UNSPENT;
      for (const [index, pauseMs] of pausesMs.entries()) {
        now += pauseMs;
        budget = afterFailure(budget, now);
        expect(budget).toEqual({ failures: index + 1, retryAt: now + backOffMs(index + 1) });
      }
    }),
  );
});
