import { alignmentOf, parseSignature, type Type } from './signature.ts';

/** A D-Bus value as it is here: arrays and structs are arrays, dictionaries records by the key's text, a variant is what is in it. */
export type Value = boolean | number | bigint | string | Value[] | { [key: string]: Value };

/** Dictionaries have text for keys here, whatever the key's own type. */
function isDictionary(type: Type): type is { kind: 'array'; of: { kind: 'entry'; fields: Type[] } } {
  return type.kind === 'array' && type.of.kind === 'entry';
}

/** Values out of a little-endian message, whose alignment counts from `bytes`' start. @throws where they don't fit */
export class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  all(signature: string): Value[] {
    return parseSignature(signature).map((type) => this.one(type));
  }

  align(to: number): void {
    this.at = Math.ceil(this.at / to) * to;
  }

  one(type: Type): Value {
    this.align(alignmentOf(type));
    if (type.kind === 'basic') return this.#basic(type.code);
    if (type.kind !== 'array') return type.fields.map((field) => this.one(field));
    const length = this.#uint();
    this.align(alignmentOf(type.of));
    const end = this.at + length;
    if (end > this.#bytes.byteLength) throw new RangeError('a D-Bus array does not fit its message');
    const items: Value[] = [];
    while (this.at < end) items.push(this.one(type.of));
    if (!isDictionary(type)) return items;
    return Object.fromEntries(items.map((entry) => [String((entry as Value[])[0]), (entry as Value[])[1] as Value]));
  }

  #uint(): number {
    this.at += 4;
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  #text(length: number): string {
    const from = this.at;
    this.at += length + 1;
    if (this.at > this.#bytes.byteLength) throw new RangeError('a D-Bus string does not fit its message');
    return this.#bytes.subarray(from, from + length).toString('utf8');
  }

  #basic(code: string): Value {
    const from = this.at;
    switch (code) {
      case 'y':
        this.at += 1;
        return this.#bytes.readUInt8(from);
      case 'n':
        this.at += 2;
        return this.#bytes.readInt16LE(from);
      case 'q':
        this.at += 2;
        return this.#bytes.readUInt16LE(from);
      case 'i':
        this.at += 4;
        return this.#bytes.readInt32LE(from);
      case 'u':
      case 'h':
        return this.#uint();
      case 'b':
        return this.#uint() !== 0;
      case 'x':
        this.at += 8;
        return this.#bytes.readBigInt64LE(from);
      case 't':
        this.at += 8;
        return this.#bytes.readBigUInt64LE(from);
      case 'd':
        this.at += 8;
        return this.#bytes.readDoubleLE(from);
      case 's':
      case 'o':
        return this.#text(this.#uint());
      case 'g':
        this.at += 1;
        return this.#text(this.#bytes.readUInt8(from));
      default:
        return this.#variant();
    }
  }

  #variant(): Value {
    const length = this.#bytes.readUInt8(this.at);
    this.at += 1;
    const [type] = parseSignature(this.#text(length));
    if (type === undefined) throw new Error('a D-Bus variant without a type');
    return this.one(type);
  }
}

/** What is put into a variant: its type with it. */
export interface Variant {
  signature: string;
  value: Writable;
}
export type Writable = boolean | number | bigint | string | Writable[] | Variant | { [key: string]: Writable };

/** Values into a little-endian message. */
export class Writer {
  #parts: Buffer[] = [];
  length = 0;

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  align(to: number): void {
    const missing = (to - (this.length % to)) % to;
    if (missing > 0) this.#push(Buffer.alloc(missing));
  }

  all(signature: string, values: readonly Writable[]): void {
    for (const [index, type] of parseSignature(signature).entries()) this.one(type, values[index] as Writable);
  }

  one(type: Type, value: Writable): void {
    this.align(alignmentOf(type));
    if (type.kind === 'basic') {
      this.#basic(type.code, value);
      return;
    }
    if (type.kind !== 'array') {
      for (const [index, field] of type.fields.entries()) this.one(field, (value as Writable[])[index] as Writable);
      return;
    }
    const size = Buffer.alloc(4);
    this.#push(size);
    this.align(alignmentOf(type.of));
    const from = this.length;
    const items = isDictionary(type) ? Object.entries(value as Record<string, Writable>) : (value as Writable[]);
    for (const item of items) this.one(type.of, item as Writable);
    size.writeUInt32LE(this.length - from);
  }

  #push(part: Buffer): void {
    this.#parts.push(part);
    this.length += part.byteLength;
  }

  #basic(code: string, value: Writable): void {
    const number = NUMBERS[code];
    if (number !== undefined) {
      const buffer = Buffer.alloc(number.bytes);
      number.write(buffer, value as number);
      this.#push(buffer);
    } else if (code === 'v') {
      const { signature, value: inner } = value as Variant;
      this.#basic('g', signature);
      this.all(signature, [inner]);
    } else {
      const text = Buffer.from(`${value}\0`, 'utf8');
      this.#basic(code === 'g' ? 'y' : 'u', text.byteLength - 1);
      this.#push(text);
    }
  }
}

type NumberWriter = { bytes: number; write(buffer: Buffer, value: number | bigint): void };
const NUMBERS: Record<string, NumberWriter> = {
  y: { bytes: 1, write: (buffer, value) => buffer.writeUInt8(Number(value)) },
  n: { bytes: 2, write: (buffer, value) => buffer.writeInt16LE(Number(value)) },
  q: { bytes: 2, write: (buffer, value) => buffer.writeUInt16LE(Number(value)) },
  i: { bytes: 4, write: (buffer, value) => buffer.writeInt32LE(Number(value)) },
  u: { bytes: 4, write: (buffer, value) => buffer.writeUInt32LE(Number(value)) },
  h: { bytes: 4, write: (buffer, value) => buffer.writeUInt32LE(Number(value)) },
  b: { bytes: 4, write: (buffer, value) => buffer.writeUInt32LE(Number(value)) },
  x: { bytes: 8, write: (buffer, value) => buffer.writeBigInt64LE(BigInt(value)) },
  t: { bytes: 8, write: (buffer, value) => buffer.writeBigUInt64LE(BigInt(value)) },
  d: { bytes: 8, write: (buffer, value) => buffer.writeDoubleLE(Number(value)) },
};
