import fc from 'fast-check';
import { expect, test } from 'vitest';
import { argmax, drawAt, philox4x32, type Sampling, sampleToken } from '../../../core/contract/sampler.ts';

const SAMPLE: Sampling = { method: 'sample', seed: '0123456789abcdef', temperature: 1, topK: 0, topP: 1 };
const words = (hex: string) => hex.split(' ').map((word) => Number.parseInt(word, 16));
const seeds = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((seed) => seed.toString(16).padStart(16, '0'));
// Far enough apart for their weights to differ where they do, and often equal.
const logits = fc.array(
  fc.integer({ min: -80, max: 80 }).map((quarter) => quarter / 4),
  { minLength: 1, maxLength: 50 },
);

// Source: Random123 1.14, tests/kat_vectors, "philox4x32 10": counter, key, result.
test.each([
  ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
])('Philox4x32-10 of counter %s and key %s is %s', (counter, key, result) => {
  expect(philox4x32(words(counter) as [number, number, number, number], words(key) as [number, number])).toEqual(words(result));
});

test('the first draw is the known answer for the zero key, as 53 bits', () => {
  const [high, low] = words('6627e8d5 e169c58d') as [number, number];
  expect(drawAt('0'.repeat(16), 0)).toBe(((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53);
});

test('draws lie in [0, 1), are the same for the same seed and position, and differ for another', () => {
  fc.assert(
    fc.property(seeds, fc.nat(), fc.nat(), (seed, position, other) => {
      const draw = drawAt(seed, position);
      expect(draw).toBeGreaterThanOrEqual(0);
      expect(draw).toBeLessThan(1);
      expect(drawAt(seed, position)).toBe(draw);
      if (other !== position) expect(drawAt(seed, other)).not.toBe(draw);
    }),
  );
});

test('draws are uniform: chi-square over 64 bins of 64,000 positions, and of 64,000 seeds', () => {
  // 99.99% quantile of chi-square with 63 degrees of freedom: 113.6. The draws are fixed, so this passes always or never.
  for (const draw of [(i: number) => drawAt('0123456789abcdef', i), (i: number) => drawAt(i.toString(16).padStart(16, '0'), 0)]) {
    const bins = new Array<number>(64).fill(0);
    for (let i = 0; i < 64_000; i += 1) bins[Math.floor(draw(i) * 64)] = (bins[Math.floor(draw(i) * 64)] ?? 0) + 1;
    expect(bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(113.6);
  }
});

test('positions beyond 32 bits are positions of their own', () => {
  expect(drawAt('0'.repeat(16), 2 ** 32)).not.toBe(drawAt('0'.repeat(16), 0));
});

test('greedy takes the largest logit, of equal ones the lowest id, and never NaN', () => {
  expect(sampleToken([1, 3, 3, 2], { method: 'greedy' }, 0)).toEqual({ token: 1, margin: 0 });
  expect(sampleToken([1, 3, 2], { method: 'greedy' }, 5)).toEqual({ token: 1, margin: 1 });
  expect(sampleToken([Number.NaN, -5, Number.NaN], { method: 'greedy' }, 0).token).toBe(1);
  expect(argmax([Number.NaN, Number.NaN])).toBe(0);
  expect(argmax([Number.NEGATIVE_INFINITY])).toBe(0);
  fc.assert(
    fc.property(logits, (values) => {
      const { token } = sampleToken(values, { method: 'greedy' }, 0);
      expect(token).toBe(values.indexOf(Math.max(...values)));
    }),
  );
});

test('top-k 1 and a tiny top-p are greedy, ties by the lowest id', () => {
  fc.assert(
    fc.property(logits, seeds, fc.nat(), (values, seed, position) => {
      const greedy = sampleToken(values, { method: 'greedy' }, 0).token;
      const one: Sampling = { method: 'sample', seed, temperature: 1, topK: 1, topP: 1 };
      expect(sampleToken(values, one, position).token).toBe(greedy);
      expect(sampleToken(values, { ...one, topK: 0, topP: Number.MIN_VALUE }, position).token).toBe(greedy);
    }),
  );
  expect(sampleToken([2, 2, 2], { ...SAMPLE, topK: 2 }, 0).token).toBeLessThan(2);
});

test('a drawn token is one of those that top-k and top-p keep', () => {
  fc.assert(
    fc.property(
      logits,
      seeds,
      fc.integer({ min: 1, max: 60 }),
      fc.float({ min: Math.fround(0.01), max: 1, noNaN: true }),
      (values, seed, topK, topP) => {
        const { token, margin } = sampleToken(values, { method: 'sample', seed, temperature: 0.7, topK, topP }, 3);
        const rank = values.filter((value, id) => value > (values[token] ?? 0) || (value === values[token] && id < token)).length;
        expect(rank).toBeLessThan(topK);
        expect(margin).toBeGreaterThanOrEqual(0);
        expect(margin).toBeLessThanOrEqual(0.5);
      },
    ),
  );
});

test('tokens are drawn as often as softmax says', () => {
  const values = [0, Math.log(2), Math.log(5), Number.NaN, Number.NEGATIVE_INFINITY];
  const counts = [0, 0, 0, 0, 0];
  for (let position = 0; position < 16_000; position += 1) {
    const { token } = sampleToken(values, SAMPLE, position);
    counts[token] = (counts[token] ?? 0) + 1;
  }
  const expected = [2000, 4000, 10_000];
  // 99.99% quantile of chi-square with 2 degrees of freedom: 18.4.
  expect(expected.reduce((sum, right, id) => sum + ((counts[id] ?? 0) - right) ** 2 / right, 0)).toBeLessThan(18.4);
  expect(counts.slice(3)).toEqual([0, 0]);
});

test('a logit more to all leaves the choice as it is', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 30 }),
      seeds,
      fc.integer({ min: -50, max: 50 }),
      (values, seed, shift) => {
        const sampling: Sampling = { ...SAMPLE, seed };
        const shifted = values.map((value) => value + shift);
        expect(sampleToken(shifted, sampling, 1)).toEqual(sampleToken(values, sampling, 1));
      },
    ),
  );
});
