import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Parts } from '../../../worker/webgpu/parts.ts';

const bytes = fc.uint8Array({ maxLength: 64 });

test('what is sent in parts comes out whole, each file by its path, and once', () => {
  const files = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.array(bytes, { minLength: 1, maxLength: 5 }), {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(files, fc.array(bytes, { maxLength: 5 }), (sent, body) => {
      const parts = new Parts();
      for (const [path, pieces] of Object.entries(sent)) for (const piece of pieces) parts.add(path, new Uint8Array(piece).buffer);
      for (const piece of body) parts.add('', new Uint8Array(piece).buffer);
      const whole = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces);
      const got = parts.body();
      expect(got === null ? null : Buffer.from(got)).toEqual(body.length === 0 ? null : whole(body));
      expect(parts.body()).toBeNull();
      const found = new Map(parts.files().map((file) => [file.path, Buffer.from(file.bytes)]));
      expect(found).toEqual(new Map(Object.entries(sent).map(([path, pieces]) => [path, whole(pieces)])));
      expect(parts.files()).toEqual([]);
    }),
  );
});
