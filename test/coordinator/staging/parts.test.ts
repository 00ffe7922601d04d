import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Parts } from '../../../coordinator/staging/parts.ts';
import type { HearthlendError } from '../../../core/contract/errors.ts';

test('what is cut into parts comes together again, whatever came of other attempts, and what does not follow is refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 64 }), fc.integer({ min: 1, max: 32 }), fc.nat(70), (bytes, size, lost) => {
      const parts = new Parts();
      const of = Math.ceil(bytes.byteLength / size);
      fc.pre(of > 1);
      const send = (index: number) => parts.add('shard#1', 3, { index, of }, bytes.subarray(index * size, (index + 1) * size));
      parts.add('shard#2', 1, { index: 0, of: 2 }, bytes);
      for (let index = 0; index < of - 1; index += 1) expect(send(index)).toBeNull();
      expect(send(of - 1)).toEqual(Buffer.from(bytes));
      const refused = (index: number) => {
        try {
          return send(index) === null ? 'taken' : 'whole';
        } catch (thrown) {
          return (thrown as HearthlendError).code;
        }
      };
      // One that went to somebody else: the next one is told to begin anew, and can.
      if (lost < of - 1) {
        for (let index = 0; index < lost; index += 1) send(index);
        expect(refused(lost + 1)).toBe('NETWORK_BUSY');
        for (let index = 0; index < of - 1; index += 1) expect(refused(index)).toBe('taken');
        expect(refused(of - 1)).toBe('whole');
      }
      expect(parts.add('shard#2', 1, { index: 1, of: 2 }, bytes)?.byteLength).toBe(2 * bytes.byteLength);
    }),
  );
});

test('no more is collected than there is room for', () => {
  const parts = new Parts(400);
  const piece = new Uint8Array(100);
  for (let attempt = 0; attempt < 4; attempt += 1) parts.add(`shard#${attempt}`, 1, { index: 0, of: 2 }, piece);
  expect(() => parts.add('shard#9', 1, { index: 0, of: 2 }, piece)).toThrow('NETWORK_BUSY');
  parts.drop('shard#0');
  expect(parts.add('shard#9', 1, { index: 0, of: 2 }, piece)).toBeNull();
});
