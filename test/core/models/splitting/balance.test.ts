import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CutPoint, chooseCuts } from '../../../../core/models/splitting/balance.ts';

const graph = fc
  .array(fc.record({ cost: fc.integer({ min: 0, max: 9 }), width: fc.integer({ min: 1, max: 3 }) }), { minLength: 2, maxLength: 9 })
  .map((nodes) => {
    let before = 0;
    const points = nodes.map(({ cost, width }): CutPoint => {
      before += cost;
      return { before, width };
    });
    return { points, total: before };
  });

function largest(points: readonly CutPoint[], total: number, cuts: readonly number[]): number {
  const ends = [0, ...cuts.map((cut) => points[cut]?.before ?? 0), total];
  const costs = ends.slice(1).map((end, at) => end - (ends[at] as number));
  return costs.some((cost) => cost <= 0) ? Number.POSITIVE_INFINITY : Math.max(...costs);
}

function* choices(count: number, from: number, length: number): Generator<number[]> {
  if (count === 0) yield [];
  else for (let first = from; first < length; first += 1) for (const rest of choices(count - 1, first + 1, length)) yield [first, ...rest];
}

test('no other cuts leave a largest stage that is more than a quarter smaller, and as narrow ones none that is smaller at all', () => {
  fc.assert(
    fc.property(graph, fc.integer({ min: 2, max: 4 }), ({ points, total }, stages) => {
      const cuts = chooseCuts(points, total, stages);
      const all = [...choices(stages - 1, 0, points.length)];
      const best = Math.min(...all.map((each) => largest(points, total, each)));
      if (cuts === null) {
        expect(best).toBe(Number.POSITIVE_INFINITY);
        return;
      }
      const width = Math.max(...cuts.map((cut) => points[cut]?.width ?? 0));
      const asNarrow = all.filter((each) => each.every((cut) => (points[cut]?.width ?? 0) <= width));
      expect(largest(points, total, cuts)).toBe(Math.min(...asNarrow.map((each) => largest(points, total, each))));
      expect(largest(points, total, cuts)).toBeLessThanOrEqual(1.25 * best);
    }),
  );
});
