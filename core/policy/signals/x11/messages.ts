// X11's bytes, as far as they are needed here. Sources: the X Window System Protocol (version 11), encoding appendix; the SYNC extension.

/** No answer that is asked for here comes near this. */
const MAX_MESSAGE_BYTES = 2 ** 20;
const COOKIE = 'MIT-MAGIC-COOKIE-1';
const GENERIC_EVENT = 35;

export const EVENT = { propertyNotify: 28 } as const;

const PROPERTY_CHANGE_MASK = 0x40_0000;

/** The first words to an X server: little-endian from here on. */
export function encodeSetup(cookie: Uint8Array | null): Buffer {
  const name = Buffer.from(cookie === null ? '' : COOKIE);
  const data = Buffer.from(cookie ?? []);
  const head = Buffer.alloc(12);
  head.write('l', 0, 'latin1');
  head.writeUInt16LE(11, 2);
  head.writeUInt16LE(name.byteLength, 6);
  head.writeUInt16LE(data.byteLength, 8);
  return Buffer.concat([head, padded(name), padded(data)]);
}

export interface Setup {
  /** First id that this client may give to what it makes. */
  resourceBase: number;
  root: number;
}

/** The server's first words; null while they are incomplete. @throws with the reason where it refuses, or where they can't be right */
export function decodeSetup(bytes: Buffer, screen: number): { setup: Setup; length: number } | null {
  if (bytes.byteLength < 8) return null;
  const length = 8 + bytes.readUInt16LE(6) * 4;
  if (bytes.byteLength < length) return null;
  const said = bytes.subarray(8, length);
  if (bytes.readUInt8(0) !== 1) {
    throw new Error(`the X server refuses: ${said.subarray(0, bytes.readUInt8(1)).toString('latin1').trim() || 'without a reason'}`);
  }
  // A read past the end throws a RangeError, and the caller gives up.
  const screens = said.readUInt8(20);
  let at = 32 + pad(said.readUInt16LE(16)) + said.readUInt8(21) * 8;
  for (let skipped = 0; skipped < Math.min(screen, screens - 1); skipped += 1) {
    const depths = said.readUInt8(at + 39);
    at += 40;
    for (let depth = 0; depth < depths; depth += 1) at += 8 + said.readUInt16LE(at + 2) * 24;
  }
  return { setup: { resourceBase: said.readUInt32LE(4), root: said.readUInt32LE(at) }, length };
}

export type Message =
  | { type: 'error'; sequence: number; code: number }
  | { type: 'reply'; sequence: number; body: Buffer }
  | { type: 'event'; code: number; body: Buffer };

/** The next message; null while it is incomplete. @throws where it is larger than any that was asked for */
export function decodeMessage(bytes: Buffer): { message: Message; length: number } | null {
  if (bytes.byteLength < 32) return null;
  const kind = bytes.readUInt8(0);
  const code = kind & 0x7f;
  const length = kind === 1 || code === GENERIC_EVENT ? 32 + bytes.readUInt32LE(4) * 4 : 32;
  if (length > MAX_MESSAGE_BYTES) throw new Error(`the X server sent ${length} bytes at once`);
  if (bytes.byteLength < length) return null;
  const body = bytes.subarray(0, length);
  const sequence = body.readUInt16LE(2);
  if (kind === 0) return { message: { type: 'error', sequence, code: body.readUInt8(1) }, length };
  return { message: kind === 1 ? { type: 'reply', sequence, body } : { type: 'event', code, body }, length };
}

/** A request: opcode, one byte of data, and a body that is filled up to four bytes. */
export function encodeRequest(opcode: number, data: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt8(opcode, 0);
  head.writeUInt8(data, 1);
  head.writeUInt16LE(1 + pad(body.byteLength) / 4, 2);
  return Buffer.concat([head, padded(body)]);
}

export function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32LE(value >>> 0, index * 4);
  return buffer;
}

function named(name: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt16LE(name.length, 0);
  return Buffer.concat([length, Buffer.from(name, 'latin1')]);
}

export const queryExtension = (name: string): Buffer => encodeRequest(98, 0, named(name));
export const internAtom = (name: string): Buffer => encodeRequest(16, 0, named(name));
/** Up to `longs` 32-bit units of a property, whatever its type. */
export const getProperty = (window: number, atom: number, longs: number): Buffer => encodeRequest(20, 0, words(window, atom, 0, 0, longs));
/** From now on the server tells of changed properties of this window. */
export const watchProperties = (window: number): Buffer => encodeRequest(2, 0, words(window, 0x800, PROPERTY_CHANGE_MASK));

export const sync = {
  initialize: (major: number): Buffer => encodeRequest(major, 0, words(3)),
  listSystemCounters: (major: number): Buffer => encodeRequest(major, 1, Buffer.alloc(0)),
  queryCounter: (major: number, counter: number): Buffer => encodeRequest(major, 5, words(counter)),
  /** An alarm that goes off whenever `counter` falls from above to at most `value` (test-type negative transition, delta zero). */
  createAlarm: (major: number, alarm: number, counter: number, value: number): Buffer =>
    encodeRequest(major, 8, words(alarm, 0b11_1111, counter, 0, 0, value, 1, 0, 0, 1)),
};

export const decode = {
  extension: (body: Buffer): { present: boolean; major: number; firstEvent: number } => ({
    present: body.readUInt8(8) === 1,
    major: body.readUInt8(9),
    firstEvent: body.readUInt8(10),
  }),
  atom: (body: Buffer): number => body.readUInt32LE(8),
  /** A property of 32-bit values; null where the window has none of that kind. */
  property(body: Buffer): number[] | null {
    if (body.readUInt8(1) !== 32) return null;
    const count = body.readUInt32LE(16);
    return Array.from({ length: Math.min(count, (body.byteLength - 32) / 4) }, (_, index) => body.readUInt32LE(32 + index * 4));
  },
  /** A property of text, such as a window's class; null where the window has none. */
  text(body: Buffer): string | null {
    return body.readUInt8(1) === 8 ? body.subarray(32, 32 + body.readUInt32LE(16)).toString('utf8') : null;
  },
  systemCounters(body: Buffer): Map<string, number> {
    const found = new Map<string, number>();
    let at = 32;
    for (let left = body.readUInt32LE(8); left > 0 && at + 14 <= body.byteLength; left -= 1) {
      const length = body.readUInt16LE(at + 12);
      found.set(body.subarray(at + 14, at + 14 + length).toString('latin1'), body.readUInt32LE(at));
      at += pad(14 + length);
    }
    return found;
  },
  /** A counter's value; milliseconds for IDLETIME. */
  counter: (body: Buffer): number => body.readInt32LE(8) * 2 ** 32 + body.readUInt32LE(12),
  propertyNotify: (body: Buffer): { window: number; atom: number } => ({ window: body.readUInt32LE(4), atom: body.readUInt32LE(8) }),
};

function pad(length: number): number {
  return (length + 3) & ~3;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], pad(bytes.byteLength));
}
