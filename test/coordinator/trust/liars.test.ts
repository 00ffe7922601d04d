import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Calibration } from '../../../coordinator/trust/thresholds.ts';
import { LIARS, seededRandom } from '../../fakes/lies.ts';
import { compareHonest } from './honest.ts';
import { answersOf, calibrated, liesOf, tryLiar } from './liars.ts';
import { openPracticeRuns, type PracticeRuns } from './practice-runs.ts';

const SHARDS = 150;
/** Two orders of the sums; a session of its own each. */
const SESSIONS = ['all' as const, 'disabled' as const].map((graphOptimization) => ({ intraOpThreads: 2, graphOptimization }));
/** Three would be passed by one run in some hundred of the seven. */
const STANDARD_ERRORS = 4;

let dir: string;
let runs: PracticeRuns;
let honest: Awaited<ReturnType<typeof answersOf>>;
let calibrations: Calibration[];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hearthlend-liars-'));
  runs = await openPracticeRuns(dir);
  honest = await answersOf(runs, { generations: 5, passes: 2, stages: 1 });
  const tasks = [0, 1, 5, 7].map((at) => (honest[at] as (typeof honest)[number]).task);
  calibrations = await calibrated(runs, tasks, SESSIONS);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a calibration lies above what honest machines differ by, and far below what is tolerated without one', () => {
  const [whole, stage] = calibrations;
  expect(whole).toMatchObject({ claimed: 'cpu', reference: 'cpu' });
  for (const { distance, worst } of [whole, stage] as Calibration[]) {
    expect(distance).toBeLessThan(1e-4);
    expect(distance).toBeGreaterThan(worst);
  }
  expect(whole?.draw).toBeLessThan(1e-4);
  expect(whole?.logit).toBeLessThan(1e-3);
});

describe(`${SHARDS} answers of a liar are refused as often as audits are drawn, and none passes one`, () => {
  test.each(LIARS)('%s', async (liar) => {
    const random = seededRandom(7);
    const lies = await liesOf(liar, runs, honest, random);
    expect(lies.length).toBeGreaterThan(2);
    const { caught, expected, standardError, missed } = await tryLiar(liar, runs, lies, calibrations, SHARDS, random);
    expect(Math.abs(caught - expected)).toBeLessThanOrEqual(STANDARD_ERRORS * Math.max(standardError, 1));
    expect(missed).toBe(0);
  });
});

test('nobody honest is blamed, however many threads and whatever optimisations', async () => {
  const compared = await compareHonest(runs, runs, { comparisons: 240, backend: 'cpu', tokens: 60, rows: 16, sessions: SESSIONS });
  expect(compared).toMatchObject({ blamed: [], undecided: 0 });
  expect(compared.comparisons).toBeGreaterThanOrEqual(240);
});
