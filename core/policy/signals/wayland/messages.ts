// Wayland's bytes (in the machine's order: little-endian wherever Node runs), as far as they are needed here. Sources: wayland.xml,
// ext-idle-notify-v1.xml, wlr-foreign-toplevel-management-unstable-v1.xml.

export interface Message {
  object: number;
  opcode: number;
  body: Buffer;
}

/** The next message; null while it is incomplete. @throws where its length can't be right */
export function decodeMessage(bytes: Buffer): { message: Message; length: number } | null {
  if (bytes.byteLength < 8) return null;
  const second = bytes.readUInt32LE(4);
  const length = second >>> 16;
  if (length < 8 || length % 4 !== 0) throw new Error('the compositor sent a message that is none');
  if (bytes.byteLength < length) return null;
  return { message: { object: bytes.readUInt32LE(0), opcode: second & 0xffff, body: bytes.subarray(8, length) }, length };
}

export function encodeMessage(object: number, opcode: number, ...args: (number | string)[]): Buffer {
  const parts = args.map((arg) => (typeof arg === 'number' ? word(arg) : string(arg)));
  const body = Buffer.concat(parts);
  return Buffer.concat([word(object), word(((8 + body.byteLength) << 16) | opcode), body]);
}

/** A string at `at`, and where what follows it begins. @throws where it doesn't fit */
export function readString(body: Buffer, at: number): { text: string; next: number } {
  const length = body.readUInt32LE(at);
  const from = at + 4;
  if (length > body.byteLength - from) throw new Error('the compositor sent a string that is none');
  return { text: body.subarray(from, from + Math.max(0, length - 1)).toString('utf8'), next: from + ((length + 3) & ~3) };
}

/** An array of 32-bit values. @throws where it doesn't fit */
export function readWords(body: Buffer, at: number): number[] {
  const count = body.readUInt32LE(at) / 4;
  return Array.from({ length: Math.min(count, (body.byteLength - at - 4) / 4) }, (_, index) => body.readUInt32LE(at + 4 + index * 4));
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`, 'utf8');
  return Buffer.concat([word(bytes.byteLength), bytes], 4 + ((bytes.byteLength + 3) & ~3));
}
