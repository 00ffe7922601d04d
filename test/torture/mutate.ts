/** Numbers in [0, 1), the same for the same seed. Source: Bryc's mulberry32. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that mean something in lengths, tags and counts. */
const TELLING = [0, 1, 2, 7, 8, 0x0a, 0x12, 0x3a, 0x7f, 0x80, 0xff];

/** A copy with some bytes changed, cut out, doubled, moved, or cut off. */
export function mutated(whole: Uint8Array, random: () => number): Uint8Array {
  const upTo = (count: number) => Math.floor(random() * count);
  const at = upTo(whole.length);
  const length = 1 + upTo(16);
  switch (upTo(16)) {
    case 0:
      return whole.slice(0, at);
    case 1:
      return new Uint8Array(Buffer.concat([whole.subarray(0, at), whole.subarray(at + length)]));
    case 2:
      return new Uint8Array(Buffer.concat([whole.subarray(0, at + length), whole.subarray(at)]));
    case 3: {
      const from = upTo(whole.length);
      return new Uint8Array(Buffer.concat([whole.subarray(0, at), whole.subarray(from, from + length), whole.subarray(at)]));
    }
    default: {
      const bytes = new Uint8Array(whole);
      for (let changes = 1 + upTo(4); changes > 0; changes -= 1) {
        bytes[upTo(bytes.length)] = random() < 0.5 ? (TELLING[upTo(TELLING.length)] as number) : upTo(256);
      }
      return bytes;
    }
  }
}
