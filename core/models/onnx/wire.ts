import type { FileHandle } from 'node:fs/promises';
import { HearthlendError } from '../../contract/errors.ts';

/** Protobuf's wire types. Groups (3 and 4) are in no ONNX file. */
export const VARINT = 0;
export const BYTES = 2;

/** One field of a message: its number, its wire type, and either the varint's value or where its bytes lie in the file. */
export interface Field {
  number: number;
  wire: number;
  /** Of a varint: read as a signed 64-bit integer, exact up to 2^53. Otherwise 0. */
  value: number;
  start: number;
  end: number;
}

export const MAX_NAME_BYTES = 4096;
export const MAX_DIMENSIONS = 64;

const WINDOW_BYTES = 256 * 1024;
/** Read after a leap over weights: there may be the next leap right behind. */
const LEAP_BYTES = 16 * 1024;
/** A tag and the varint behind it, each at most 10 bytes. */
const FIELD_HEAD_BYTES = 20;
/** A model of 5 million tree nodes has some 50 million fields; more than this is not a model. */
const MAX_FIELDS = 200_000_000;

export function invalidModel(detail: string): HearthlendError {
  return new HearthlendError('MODEL_INVALID', { detail });
}

/**
 * Walks protobuf messages in a file through a small window, so that weights are stepped over and never read.
 * Source: protobuf.dev/programming-guides/encoding.
 */
export class WireReader {
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #window: Buffer;
  readonly #deadline: number;
  #windowStart = 0;
  #windowEnd = 0;
  #fillBytes = LEAP_BYTES;
  #position = 0;
  #fields = 0;

  /** @param patienceMs how long the reading may take in all: a file of empty fields can hold a billion of them */
  constructor(file: FileHandle, size: number, patienceMs = Number.POSITIVE_INFINITY) {
    this.#file = file;
    this.#size = size;
    this.#deadline = performance.now() + patienceMs;
    this.#window = Buffer.allocUnsafe(Math.max(FIELD_HEAD_BYTES, Math.min(WINDOW_BYTES, size)));
  }

  /**
   * Calls `visit` for every field between `start` and `end`. What the visitor doesn't read is stepped over.
   * @throws MODEL_INVALID where the bytes are no message
   */
  async eachField(start: number, end: number, visit: (field: Field) => undefined | Promise<unknown>): Promise<void> {
    this.#position = start;
    while (this.#position < end) {
      if (!this.#holds(this.#position, Math.min(this.#position + FIELD_HEAD_BYTES, this.#size))) await this.#fill(this.#position);
      const field = this.#field(end);
      const visiting = visit(field);
      if (visiting !== undefined) await visiting;
      this.#position = field.end;
    }
  }

  /** A string field's text. @throws MODEL_INVALID where it is longer than `maxBytes` or not UTF-8 */
  async text(field: Field, maxBytes: number): Promise<string> {
    if (field.wire !== BYTES) throw invalidModel('a name in it is not text');
    const bytes = field.end - field.start;
    if (bytes > Math.min(maxBytes, LEAP_BYTES)) throw invalidModel(`a name in it has ${bytes} bytes, more than ${maxBytes}`);
    if (!this.#holds(field.start, field.end)) await this.#fill(field.start);
    if (!this.#holds(field.start, field.end)) throw invalidModel('it ends in the middle of a name');
    try {
      return utf8.decode(this.#window.subarray(field.start - this.#windowStart, field.end - this.#windowStart));
    } catch {
      throw invalidModel('a name in it is not UTF-8');
    }
  }

  /**
   * The whole numbers of a repeated field, packed or one by one, each as a signed 64-bit integer, exact up to 2^53.
   * @throws MODEL_INVALID where there are more than `maxCount`
   */
  async numbers(field: Field, maxCount: number): Promise<number[]> {
    if (field.wire === VARINT) return [field.value];
    if (field.wire !== BYTES) throw invalidModel('a list in it is not one of whole numbers');
    if (field.end - field.start > Math.min(10 * maxCount, LEAP_BYTES)) throw invalidModel(`a list in it has more than ${maxCount} numbers`);
    if (!this.#holds(field.start, field.end)) await this.#fill(field.start);
    const numbers: number[] = [];
    this.#position = field.start;
    while (this.#position < field.end) {
      if (numbers.length === maxCount) throw invalidModel(`a list in it has more than ${maxCount} numbers`);
      numbers.push(this.#varint(field.end));
    }
    return numbers;
  }

  #holds(start: number, end: number): boolean {
    return start >= this.#windowStart && end <= this.#windowEnd;
  }

  async #fill(position: number): Promise<void> {
    if (performance.now() > this.#deadline) throw invalidModel('it takes too long to read');
    const onward = position >= this.#windowStart && position <= this.#windowEnd;
    this.#fillBytes = onward ? Math.min(4 * this.#fillBytes, this.#window.byteLength) : LEAP_BYTES;
    this.#windowStart = position;
    this.#windowEnd = position;
    const wanted = Math.min(this.#fillBytes, this.#window.byteLength, this.#size - position);
    while (this.#windowEnd - position < wanted) {
      const filled = this.#windowEnd - position;
      const { bytesRead } = await this.#file.read(this.#window, filled, wanted - filled, this.#windowEnd);
      if (bytesRead === 0) throw invalidModel('it became shorter while it was read');
      this.#windowEnd += bytesRead;
    }
  }

  #field(end: number): Field {
    this.#fields += 1;
    if (this.#fields > MAX_FIELDS) throw invalidModel(`it has more than ${MAX_FIELDS} fields`);
    const tag = this.#varint(end);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (tag < 8 || number >= 2 ** 29) throw invalidModel('it is not an ONNX file');
    if (wire === VARINT) {
      const start = this.#position;
      const value = this.#varint(end);
      return { number, wire, value, start, end: this.#position };
    }
    const length = wire === BYTES ? this.#varint(end) : wire === 1 ? 8 : wire === 5 ? 4 : Number.NaN;
    const start = this.#position;
    if (!(length >= 0)) throw invalidModel('it is not an ONNX file');
    if (length > end - start) throw invalidModel('it is cut off, or not an ONNX file');
    return { number, wire, value: 0, start, end: start + length };
  }

  /** One varint from the window, read as a signed 64-bit integer. */
  #varint(end: number): number {
    let low = 0;
    let scale = 1;
    for (let bytes = 0; bytes < 10; bytes += 1) {
      if (this.#position >= end) throw invalidModel('it is cut off, or not an ONNX file');
      const byte = this.#window[this.#position - this.#windowStart] as number;
      this.#position += 1;
      if (bytes === 9) {
        // The tenth byte holds the sign alone. Every negative number has it; what they are exactly, nobody asks.
        if (byte > 1) throw invalidModel('it is not an ONNX file');
        return byte === 1 ? Math.min(-1, low - 2 ** 63) : low;
      }
      low += (byte & 0x7f) * scale;
      if (byte < 0x80) return low;
      scale *= 128;
    }
    throw invalidModel('it is not an ONNX file');
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
