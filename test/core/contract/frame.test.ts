import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFramePrefix, FrameDecoder } from '../../../core/contract/frame.ts';

const limits = { headerBytes: 4096, bodyBytes: 100_000 };

function encode(header: unknown, body: Uint8Array): Buffer {
  return Buffer.concat([encodeFramePrefix(header, body.byteLength, limits), body]);
}

/** Cuts bytes at these places. */
function cut(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const at = [0, ...places.map((place) => place % (bytes.byteLength + 1)).sort((a, b) => a - b), bytes.byteLength];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const frames = fc.array(
  fc.record({
    header: fc.jsonValue({ maxDepth: 2 }),
    body: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 1000, maxLength: 3000 })),
  }),
  { maxLength: 8 },
);

test('frames come out as they went in, however the bytes are cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 30 }), (sent, places) => {
      const decoder = new FrameDecoder(limits);
      const stream = Buffer.concat(sent.map(({ header, body }) => encode(header, body)));
      const received = cut(stream, places).flatMap((chunk) => decoder.push(chunk));
      expect(received.map(({ header, body }) => ({ header, body: new Uint8Array(body) }))).toEqual(
        sent.map(({ header, body }) => ({ header: JSON.parse(JSON.stringify(header)), body })),
      );
      expect(decoder.pendingBytes).toBe(0);
    }),
  );
});

test('frames come out byte by byte too, and none before its last byte', () => {
  const stream = encode({ type: 'run' }, Uint8Array.of(1, 2, 3));
  const decoder = new FrameDecoder(limits);
  for (const [index, byte] of stream.entries()) {
    const received = decoder.push(Uint8Array.of(byte));
    expect(received).toHaveLength(index === stream.length - 1 ? 1 : 0);
  }
});

test('lengths over a limit are refused as soon as they are announced', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), fc.integer({ min: 0, max: 0xffffffff }), (headerBytes, bodyBytes) => {
      const prefix = Buffer.alloc(8);
      prefix.writeUInt32LE(headerBytes, 0);
      prefix.writeUInt32LE(bodyBytes, 4);
      const allowed = headerBytes <= limits.headerBytes && bodyBytes <= limits.bodyBytes;
      const push = () => new FrameDecoder(limits).push(prefix);
      if (allowed && headerBytes + bodyBytes > 0) expect(push()).toEqual([]);
      else if (!allowed) expect(push).toThrow(/WORKER_PROTOCOL/);
    }),
  );
});

test('rubbish never comes out as a frame without being refused or waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 200 }), (rubbish) => {
      const decoder = new FrameDecoder(limits);
      try {
        for (const { header } of decoder.push(rubbish)) JSON.stringify(header);
      } catch (error) {
        expect(error).toMatchObject({ code: 'WORKER_PROTOCOL' });
      }
    }),
  );
});

test('a header that is no JSON, or no UTF-8, is refused', () => {
  for (const header of [Buffer.from('{"type":'), Buffer.from([0x22, 0xff, 0x22]), Buffer.alloc(0)]) {
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32LE(header.length, 0);
    expect(() => new FrameDecoder(limits).push(Buffer.concat([prefix, header]))).toThrow(/WORKER_PROTOCOL/);
  }
});

test('what is over a limit is not written either', () => {
  expect(() => encodeFramePrefix({ text: 'x'.repeat(5000) }, 0, limits)).toThrow(/WORKER_PROTOCOL/);
  expect(() => encodeFramePrefix({}, 100_001, limits)).toThrow(/WORKER_PROTOCOL/);
});
