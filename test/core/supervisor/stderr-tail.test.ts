import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StderrTail } from '../../../core/supervisor/stderr-tail.ts';

test('however stderr comes in pieces, its last 16 KiB are kept', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 9_000 })), { maxLength: 90 }), (pieces) => {
      const tail = new StderrTail();
      let all = '';
      for (const [letter, length] of pieces) {
        tail.push(Buffer.from(letter.repeat(length)));
        all += letter.repeat(length);
      }
      expect(tail.text()).toBe(all.slice(-16 * 1024));
    }),
    { numRuns: 40 },
  );
});
