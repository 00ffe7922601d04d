import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchRows, joinBatch, splitBatch } from '../../../core/contract/batch.ts';
import type { ModelValue } from '../../../core/contract/jobs.ts';
import type { Tensors } from '../../../core/contract/tensor.ts';

const batch = fc
  .record({ rows: fc.integer({ min: 1, max: 40 }), widths: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 }) })
  .map(({ rows, widths }): { rows: number; tensors: Tensors } => ({
    rows,
    tensors: new Map(
      widths.map((width, index) => [
        `t${index}`,
        { type: 'uint16', shape: [rows, width], data: Uint8Array.from({ length: rows * width * 2 }, (_, at) => (at * 7 + index) % 256) },
      ]),
    ),
  }));

test('a batch in any number of parts is the same batch when they are put together again', () => {
  fc.assert(
    fc.property(batch, fc.nat(39), ({ rows, tensors }, more) => {
      const parts = splitBatch(tensors, rows, Math.min(rows, more + 1));
      const sizes = parts.map((part) => part.get('t0')?.shape[0] ?? 0);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      const joined = joinBatch(parts);
      expect([...joined.keys()]).toEqual([...tensors.keys()]);
      for (const [name, { shape, data }] of tensors) {
        expect(joined.get(name)?.shape).toEqual(shape);
        expect(Buffer.from(joined.get(name)?.data ?? []).equals(data)).toBe(true);
      }
    }),
  );
});

test('more parts than there are rows, or parts that do not belong together, are refused by name', () => {
  const one: Tensors = new Map([['x', { type: 'uint8', shape: [2, 2], data: new Uint8Array(4) }]]);
  expect(() => splitBatch(one, 2, 3)).toThrow('BATCH_UNSPLITTABLE');
  const other: Tensors = new Map([['x', { type: 'uint8', shape: [2, 3], data: new Uint8Array(6) }]]);
  expect(() => joinBatch([one, other])).toThrow('TENSOR_INVALID');
  expect(() => joinBatch([])).toThrow('TENSOR_INVALID');
});

test('a batch is one where everything that goes in and comes out begins with the same named dimension', () => {
  const value = (name: string, ...shape: (number | string | null)[]): ModelValue => ({ name, type: 'uint8', shape });
  const tensors: Tensors = new Map([['x', { type: 'uint8', shape: [4, 2], data: new Uint8Array(8) }]]);
  expect(batchRows(tensors, [value('x', 'batch', 2)], [value('y', 'batch')])).toEqual({ rows: 4 });
  expect(batchRows(tensors, [value('x', 4, 2)], [value('y', 4)])).toMatchObject({ rows: null });
  expect(batchRows(tensors, [value('x', 'batch', 2)], [value('y', 2)])).toMatchObject({ rows: null, detail: expect.stringContaining('y') });
  expect(batchRows(tensors, [], [])).toMatchObject({ rows: null });
  tensors.set('z', { type: 'uint8', shape: [3], data: new Uint8Array(3) });
  expect(batchRows(tensors, [value('x', 'batch', 2), value('z', 'batch')], [])).toMatchObject({ rows: null });
});
