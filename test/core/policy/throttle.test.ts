import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Control, control, HEAT_GAINS, LEAST_DUTY, POWER_GAINS } from '../../../core/policy/throttle.ts';

const STEP_MS = 250;

interface Cooler {
  ambientC: number;
  /** From rest to full load, once it has settled. */
  riseC: number;
  /** Time constant of the cooler. */
  tauMs: number;
  /** By how much the sensor lags. */
  lagMs: number;
  /** How often it is read. */
  everyMs: number;
}

/** Temperature and duty of a GPU over time under the controller: a first-order cooler, and a sensor that lags and counts whole degrees. */
function simulate({ ambientC, riseC, tauMs, lagMs, everyMs }: Cooler, targetC: number, forMs: number) {
  const history: number[] = [];
  const trace: Array<{ at: number; degrees: number; duty: number }> = [];
  let degrees = ambientC;
  let state: Control | null = null;
  for (let at = 0; at < forMs; at += STEP_MS) {
    degrees += ((ambientC + riseC * (state?.duty ?? 1) - degrees) * STEP_MS) / tauMs;
    history.push(degrees);
    const felt = history[Math.max(0, history.length - 1 - Math.round(lagMs / STEP_MS))] as number;
    if (at % everyMs < STEP_MS) state = control(state, targetC - Math.round(felt), at, HEAT_GAINS);
    trace.push({ at, degrees, duty: state?.duty ?? 1 });
  }
  return trace;
}

const cooler: fc.Arbitrary<Cooler> = fc.record({
  ambientC: fc.integer({ min: 15, max: 40 }),
  riseC: fc.integer({ min: 10, max: 80 }),
  tauMs: fc.integer({ min: 10_000, max: 200_000 }),
  lagMs: fc.integer({ min: 0, max: 3000 }),
  everyMs: fc.constantFrom(1000, 2000, 5000),
});

describe('the temperature controller', () => {
  it('settles every cooler at the target, or at an end of its range, and then holds still', () => {
    fc.assert(
      fc.property(cooler, fc.integer({ min: 60, max: 80 }), (model, targetC) => {
        const last = simulate(model, targetC, 3_600_000).filter(({ at }) => at > 2_700_000);
        const duties = last.map(({ duty }) => duty);
        const degrees = last.map((moment) => moment.degrees);
        expect(Math.max(...duties) - Math.min(...duties)).toBeLessThan(0.06);
        expect(Math.max(...degrees)).toBeLessThan(targetC + 2.5);
        // Room that is left is used.
        if (Math.min(...degrees) < targetC - 4) expect(Math.min(...duties)).toBeGreaterThan(0.9);
      }),
      { numRuns: 200 },
    );
  });

  it('goes little over the target on the way, and comes back soon when the load was never too much', () => {
    fc.assert(
      fc.property(cooler, (model) => {
        const hottest = Math.max(...simulate(model, 70, 1_800_000).map(({ degrees }) => degrees));
        const { ambientC, riseC, tauMs, lagMs, everyMs } = model;
        // What comes until it is read can't be helped.
        const unseen = (Math.max(0, ambientC + riseC - 70) / tauMs) * (lagMs + everyMs);
        expect(hottest).toBeLessThan(70 + 16 + unseen);
      }),
      { numRuns: 200 },
    );
  });

  it('winds nothing up at an end of its range: the first error of the other sign moves it', () => {
    let state: Control | null = null;
    for (let at = 0; at < 3_600_000; at += 1000) state = control(state, 40, at, HEAT_GAINS);
    expect(state?.duty).toBe(1);
    expect(control(state, -5, 3_600_000, HEAT_GAINS).duty).toBeLessThan(0.9);
    for (let at = 3_600_000; at < 7_200_000; at += 1000) state = control(state, -40, at, HEAT_GAINS);
    expect(state?.duty).toBe(LEAST_DUTY);
    expect(control(state, 5, 7_200_000, HEAT_GAINS).duty).toBeGreaterThan(0.5);
  });

  it('stays in its range and stays finite, whatever it reads and whenever', () => {
    const reading = fc.record({ error: fc.option(fc.double()), at: fc.double({ min: 0, max: 1e12, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(reading), fc.constantFrom(HEAT_GAINS, POWER_GAINS), (readings, gains) => {
        let state: Control | null = null;
        for (const { error, at } of readings) {
          state = control(state, error, at, gains);
          expect(state.duty).toBeGreaterThanOrEqual(LEAST_DUTY);
          expect(state.duty).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('does not brake on the way up while the target is far', () => {
    const way = simulate({ ambientC: 20, riseC: 60, tauMs: 60_000, lagMs: 1000, everyMs: 1000 }, 75, 600_000);
    expect(way.filter(({ degrees }) => degrees < 66).every(({ duty }) => duty === 1)).toBe(true);
  });

  it('keeps its duty while the sensor is gone', () => {
    const hot = control(control(null, -10, 0, HEAT_GAINS), -10, 1000, HEAT_GAINS);
    expect(control(hot, null, 60_000, HEAT_GAINS)).toEqual(hot);
  });
});
