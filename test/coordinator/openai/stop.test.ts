import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createStopScanner } from '../../../coordinator/openai/stop.ts';
import { createTextSoFar } from '../../../coordinator/openai/text-so-far.ts';

const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '😀'), maxLength: 20 });

test('a text in any pieces is shown up to the first of the words at which to stop, and no letter of it too early', () => {
  fc.assert(
    fc.property(
      fc.array(letters, { maxLength: 8 }),
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '😀'), minLength: 1, maxLength: 4 }), { maxLength: 3 }),
      (pieces, stops) => {
        const whole = pieces.join('');
        const at = Math.min(whole.length, ...stops.map((stop) => whole.indexOf(stop)).filter((index) => index >= 0));
        const scanner = createStopScanner(stops);
        let shown = '';
        let stopped = false;
        for (const piece of pieces) {
          const scanned = scanner.push(piece);
          shown += scanned.text;
          stopped = scanned.stopped;
          expect(whole.slice(0, at).startsWith(shown)).toBe(true);
        }
        if (!stopped) shown += scanner.rest();
        expect(shown).toBe(whole.slice(0, at));
      },
    ),
  );
});

test('tokens told in any pieces, again and with gaps, give the text of the whole', () => {
  const words = { stopTokens: [0], stream: () => (id: number) => String.fromCharCode(id) };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 97, max: 99 }), { maxLength: 20 }), fc.array(fc.tuple(fc.nat(25), fc.nat(25))), (ids, told) => {
      const soFar = createTextSoFar(words, ['cc']);
      let text = '';
      for (const [from, count] of told) text += soFar.take(from, ids.slice(from, from + count));
      text += soFar.take(0, ids) + soFar.rest();
      const whole = String.fromCharCode(...ids);
      const at = whole.indexOf('cc');
      expect(text).toBe(at < 0 ? whole : whole.slice(0, at));
      expect(soFar.finish).toBe(at < 0 ? 'length' : 'stop');
    }),
  );
});

test('other tokens in the same place are another answer', () => {
  const soFar = createTextSoFar({ stopTokens: [], stream: () => String }, []);
  soFar.take(0, [1, 2]);
  expect(() => soFar.take(1, [3])).toThrow('ANSWER_DIVERGED');
});
