import { expect, test } from 'vitest';
import { StagePace } from '../../../coordinator/staging/pace.ts';

test('a stage that never answered has minutes for its model; one that did is waited for by what its steps took, for seconds at least', () => {
  const pace = new StagePace();
  expect(pace.patienceMs).toBe(120_000);
  pace.handed(1000);
  expect(pace.patienceMs).toBe(120_000);
  pace.answered(1012);
  expect(pace.patienceMs).toBe(5000);
  pace.handed(2000);
  pace.answered(2900);
  expect(pace.patienceMs).toBe(18_000);
  // An answer that was taken already says nothing new, and a quick one doesn't make it less patient.
  pace.answered(90_000);
  pace.handed(91_000);
  pace.answered(91_001);
  expect(pace.patienceMs).toBe(18_000);
  pace.handed(100_000);
  pace.answered(160_000);
  expect(pace.patienceMs).toBe(120_000);
});
