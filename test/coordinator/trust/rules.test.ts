import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { leastHoldBack } from '../../../coordinator/trust/hold-back.ts';
import { afterAudit, auditProbability, NEWCOMER, type Reputation, suspendedUntil } from '../../../coordinator/trust/reputation.ts';
import { startThresholds, thresholdsFor, tooManyNearTies } from '../../../coordinator/trust/thresholds.ts';

const DAY = 86_400_000;

describe('reputation', () => {
  test('a newcomer is always audited, one honest for long at one in fifty, and never less', () => {
    expect([0, 9, 10, 99, 499, 500, 1e9].map((validInARow) => auditProbability({ validInARow }))).toEqual([
      1,
      1,
      10 / 11,
      0.1,
      0.02,
      0.02,
      0.02,
    ]);
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (one, more) => {
        const p = auditProbability({ validInARow: one });
        expect(p).toBeGreaterThanOrEqual(0.02);
        expect(p).toBeLessThanOrEqual(1);
        expect(auditProbability({ validInARow: one + more })).toBeLessThanOrEqual(p);
      }),
    );
  });

  test('after any history the trust is the valid audits since the last bad one; what was not decided is no part of it', () => {
    const outcome = fc.constantFrom('valid', 'bad', 'undecided');
    fc.assert(
      fc.property(fc.array(outcome), (history) => {
        const end = history.reduce((reputation: Reputation, each, at) => afterAudit(reputation, each, at), NEWCOMER);
        const since = history.slice(history.lastIndexOf('bad') + 1);
        expect(end.validInARow).toBe(since.filter((each) => each === 'valid').length);
        const bad = history.flatMap((each, at) => (each === 'bad' ? [at] : []));
        expect(end.offences).toEqual(bad.slice(-16));
      }),
    );
  });

  test('one bad result suspends nobody, a second within a week does for a day, a third within a month for a month', () => {
    expect(suspendedUntil([])).toBeNull();
    expect(suspendedUntil([5 * DAY])).toBeNull();
    expect(suspendedUntil([0, 7 * DAY])).toBe(8 * DAY);
    expect(suspendedUntil([0, 8 * DAY])).toBeNull();
    expect(suspendedUntil([0, 12 * DAY, 24 * DAY])).toBe(54 * DAY);
    expect(suspendedUntil([0, 20 * DAY, 40 * DAY])).toBeNull();
  });
});

describe('hold-back', () => {
  test('with what has to be held back a cheat loses on average, and with less it does not', () => {
    const positive = fc.double({ min: 1e-3, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(positive, fc.double({ min: 0.02, max: 1, noNaN: true }), positive, (saved, caught, pay) => {
        const held = leastHoldBack(saved, caught, pay);
        const gain = (amount: number) => saved - caught * (amount + pay);
        expect(gain(held * 1.001 + 1e-9)).toBeLessThanOrEqual(1e-6 * saved);
        if (held > 1e-6 * saved) expect(gain(held * 0.999)).toBeGreaterThan(0);
      }),
    );
    // At the rarest audits, for a cheat that saves the whole price: 49 results' pay.
    expect(leastHoldBack(1, 0.02, 1)).toBe(49);
  });
});

describe('thresholds', () => {
  test('before a model is calibrated it depends on the two backends and the precision', () => {
    const start = (claimed: 'cpu' | 'webgpu' | null, half = false) => startThresholds({ claimed, reference: 'cpu' }, half).distance;
    expect([start('cpu'), start('webgpu'), start(null), start('cpu', true), start('webgpu', true)]).toEqual([1e-4, 2e-3, 2e-3, 1e-2, 1e-2]);
  });

  test('a calibration holds for its model and its two backends alone', () => {
    const own = { distance: 5e-6, draw: 1e-5, logit: 1e-4, nearTies: 0.01 };
    const calibrations = [{ model: 'a'.repeat(64), claimed: 'webgpu' as const, reference: 'cpu' as const, ...own }];
    const key = { model: 'a'.repeat(64), claimed: 'webgpu' as const, reference: 'cpu' as const };
    expect(thresholdsFor(key, calibrations, false)).toEqual(own);
    expect(thresholdsFor({ ...key, model: 'b'.repeat(64) }, calibrations, false)).toEqual(startThresholds(key, false));
    expect(thresholdsFor({ ...key, claimed: 'cpu' }, calibrations, false).distance).toBe(1e-4);
    expect(thresholdsFor({ ...key, claimed: null }, calibrations, false).distance).toBe(2e-3);
  });

  test('a few near-ties are chance, many are not', () => {
    const thresholds = startThresholds({ claimed: 'cpu', reference: 'cpu' }, false);
    expect(tooManyNearTies(2, 10, thresholds)).toBe(false);
    expect(tooManyNearTies(10, 10, thresholds)).toBe(true);
    expect(tooManyNearTies(0, 0, thresholds)).toBe(false);
    expect(tooManyNearTies(10, 100_000, thresholds)).toBe(false);
  });
});
