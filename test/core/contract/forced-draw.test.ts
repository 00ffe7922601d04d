import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forcedDraw, isTolerated } from '../../../core/contract/forced-draw.ts';
import { drawAt, type Sampling, sampleToken } from '../../../core/contract/sampler.ts';

const EXACT = { draw: 0, logit: 0 };
const logits = fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: 2, maxLength: 60 });
const seed = fc.integer({ min: 0, max: 2 ** 31 }).map((value) => value.toString(16).padStart(16, '0'));
const sampling: fc.Arbitrary<Sampling> = fc.oneof(
  fc.constant({ method: 'greedy' as const }),
  fc.record({
    method: fc.constant('sample' as const),
    seed,
    temperature: fc.double({ min: 0.3, max: 2, noNaN: true }),
    topK: fc.integer({ min: 0, max: 60 }),
    topP: fc.double({ min: 0.1, max: 1, noNaN: true }),
  }),
);

describe('a claimed token against the draw', () => {
  test('what is drawn here is what the sampler draws, and needs no widening', () => {
    fc.assert(
      fc.property(logits, sampling, fc.nat({ max: 500 }), (row, by, position) => {
        const { token } = sampleToken(row, by, position);
        expect(forcedDraw(row, by, position, token, EXACT)).toMatchObject({ drawn: token, shift: 0 });
      }),
    );
  });

  test('what a machine draws whose logits are a little off is within tolerance, whatever top-k and top-p cut off', () => {
    fc.assert(
      fc.property(
        logits,
        sampling,
        fc.nat({ max: 500 }),
        fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
        (row, by, position, noise) => {
          const off = 1e-3;
          const others = row.map((logit) => Math.fround(logit + off * (noise.next().value as number)));
          const { token } = sampleToken(others, by, position);
          // A logit that moves by d moves any edge by d / (2 T) at most.
          const temperature = by.method === 'greedy' ? 1 : by.temperature;
          const tolerance = { draw: (1.01 * off) / temperature, logit: 2.02 * off };
          const { shift } = forcedDraw(row, by, position, token, tolerance);
          expect(isTolerated(shift, by, tolerance)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('the widening that is asked for is the distance of the draw to the interval', () => {
    const even = [0, 0, 0, 0];
    for (let position = 0; position < 40; position += 1) {
      const by: Sampling = { method: 'sample', seed: '00000000deadbeef', temperature: 1, topK: 0, topP: 1 };
      const at = drawAt(by.seed, position);
      for (let token = 0; token < 4; token += 1) {
        const distance = Math.max(0, token / 4 - at, at - (token + 1) / 4);
        expect(forcedDraw(even, by, position, token, EXACT)).toMatchObject({
          shift: expect.closeTo(distance, 12),
          low: token / 4,
          high: (token + 1) / 4,
        });
      }
    }
  });

  test('greedy asks how far the token lies below the largest logit', () => {
    expect(forcedDraw([1, 3, 2.5], { method: 'greedy' }, 0, 2, EXACT)).toEqual({ drawn: 1, shift: 0.5, low: 3, high: 2.5, logit: -0.5 });
    expect(isTolerated(0.5, { method: 'greedy' }, { draw: 1, logit: 0.4 })).toBe(false);
    expect(isTolerated(0.5, { method: 'greedy' }, { draw: 0, logit: 0.5 })).toBe(true);
  });

  test('a token that was cut off, ruled out, or is in no vocabulary is infinitely far', () => {
    const by: Sampling = { method: 'sample', seed: '0000000000000001', temperature: 1, topK: 2, topP: 1 };
    const row = [5, 4, 1, Number.NEGATIVE_INFINITY, Number.NaN];
    for (const token of [2, 3, 4, 5, -1, 0.5]) expect(forcedDraw(row, by, 0, token, EXACT).shift).toBe(Number.POSITIVE_INFINITY);
    expect(forcedDraw(row, { method: 'greedy' }, 0, 3, EXACT).shift).toBe(Number.POSITIVE_INFINITY);
  });

  test('of two that lie closer together than the tolerance, top-k may have kept either', () => {
    const by: Sampling = { method: 'sample', seed: '0000000000000003', temperature: 1, topK: 2, topP: 1 };
    const row = [2, 1.0001, 1];
    const position = Array.from({ length: 100 }, (_, at) => at).find((at) => drawAt(by.seed, at) > 0.8) as number;
    expect(forcedDraw(row, by, position, 2, EXACT).shift).toBe(Number.POSITIVE_INFINITY);
    expect(forcedDraw(row, by, position, 2, { draw: 1e-4, logit: 1e-3 }).shift).toBe(0);
    expect(forcedDraw(row, by, position, 1, { draw: 1e-4, logit: 1e-3 }).shift).toBe(0);
  });
});
