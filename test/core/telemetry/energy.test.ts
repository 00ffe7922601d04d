import fc from 'fast-check';
import { expect, test } from 'vitest';
import { energyOf, joined, type PowerSpan } from '../../../core/telemetry/energy.ts';

const span = (fromMs: number, toMs: number, watts: number | null, estimated = false): PowerSpan => ({ fromMs, toMs, watts, estimated });

test('energy is power over time, also of a part of a span', () => {
  const spans = [span(0, 1000, 100), span(1000, 2000, 50)];
  expect(energyOf(spans, 0, 2000)).toEqual({ joules: 150, estimated: false });
  expect(energyOf(spans, 900, 1100)).toEqual({ joules: 15, estimated: false });
  expect(energyOf(spans, 500, 501)).toEqual({ joules: 0.1, estimated: false });
  expect(energyOf(spans, 500, 500)).toEqual({ joules: 0, estimated: false });
});

test('a gap is taken to be like the rest; where less than half is known, nothing is', () => {
  const spans = [span(0, 1000, 100), span(1000, 2000, null)];
  expect(energyOf(spans, 0, 2000)).toEqual({ joules: 200, estimated: false });
  expect(energyOf(spans, 500, 2000)).toBeNull();
  expect(energyOf([], 0, 10)).toBeNull();
});

test('one estimated part makes an estimate of the whole', () => {
  expect(energyOf([span(0, 1000, 100), span(1000, 2000, 50, true)], 0, 2000)).toEqual({ joules: 150, estimated: true });
  expect(energyOf([span(0, 1000, 100), span(1000, 2000, 50, true)], 0, 1000)).toMatchObject({ estimated: false });
});

test('the parts of a run take together what the run takes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 30 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (watts, part) => {
        const spans = watts.map((each, at) => span(at * 1000, (at + 1) * 1000, each));
        const end = watts.length * 1000;
        const middle = part * end;
        const joules = (from: number, to: number) => energyOf(spans, from, to)?.joules ?? Number.NaN;
        expect(joules(0, middle) + joules(middle, end)).toBeCloseTo(joules(0, end), 4);
      },
    ),
  );
});

test('what is joined takes what its parts took', () => {
  expect(joined(span(0, 1000, 100), span(1000, 3000, 40))).toEqual(span(0, 3000, 60));
  expect(joined(span(0, 2000, 100), span(2000, 3000, null))).toEqual(span(0, 3000, 100));
  expect(joined(span(0, 1000, 100, true), span(1000, 3000, null))).toMatchObject({ watts: null });
  expect(joined(span(0, 1000, 100, true), span(1000, 1500, 10))).toMatchObject({ estimated: true });
});
