/** ASN.1 in DER, as far as certificates of ours need it. Source: ITU-T X.690. */
export type Der = Uint8Array;

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
};

function tagged(tag: number, content: Uint8Array): Der {
  const { byteLength } = content;
  const length: number[] = [];
  for (let rest = byteLength; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = byteLength < 0x80 ? [byteLength] : [0x80 | length.length, ...length];
  return Buffer.concat([Uint8Array.from([tag, ...head]), content]);
}

export const sequence = (...parts: readonly Der[]): Der => tagged(TAG.sequence, Buffer.concat(parts));
export const set = (...parts: readonly Der[]): Der => tagged(TAG.set, Buffer.concat(parts));
export const octets = (bytes: Uint8Array): Der => tagged(TAG.octets, bytes);
export const text = (value: string): Der => tagged(TAG.utf8, new TextEncoder().encode(value));
export const yes: Der = tagged(TAG.boolean, Uint8Array.of(0xff));
/** Whole bytes, unless the last one's lowest `unused` bits don't count. */
export const bits = (bytes: Uint8Array, unused = 0): Der => tagged(TAG.bits, Buffer.concat([Uint8Array.of(unused), bytes]));
/** `[number]` around whole values. */
export const explicit = (number: number, ...parts: readonly Der[]): Der => tagged(0xa0 | number, Buffer.concat(parts));
/** `[number]` in the place of a primitive value's own tag. */
export const implicit = (number: number, content: Uint8Array): Der => tagged(0x80 | number, content);

/** A number that is not negative, from its bytes, the highest first. */
export function integer(bytes: Uint8Array): Der {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : bytes.subarray(first);
  return tagged(TAG.integer, (digits[0] as number) < 0x80 ? digits : Buffer.concat([Uint8Array.of(0), digits]));
}

/** An object identifier in its dotted form. */
export function oid(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(0x80 | (left % 128));
    return digits;
  });
  return tagged(TAG.oid, Uint8Array.from(bytes));
}

/** In whole seconds; certificates write years before 2050 with two digits. Source: RFC 5280, 4.1.2.5. */
export function instant(at: Date): Der {
  const digits = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  const short = at.getUTCFullYear() < 2050;
  return tagged(short ? TAG.utcTime : TAG.time, new TextEncoder().encode(short ? digits.slice(2) : digits));
}
