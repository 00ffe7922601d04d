import { crc32, inflateRawSync } from 'node:zlib';

/** One file of a zip archive, as its central directory has it. */
interface Entry {
  name: string;
  method: number;
  crc: number;
  packedBytes: number;
  bytes: number;
  headerAt: number;
}

export interface ZipLimits {
  entries: number;
  /** Of all files together, unpacked. */
  bytes: number;
}

/** Why an archive can't be read, in words that go on from "it …"; `tooLarge` with the bytes that it announces. */
export class ZipError extends Error {
  readonly tooLarge: number | undefined;

  constructor(detail: string, tooLarge?: number) {
    super(detail);
    this.name = 'ZipError';
    this.tooLarge = tooLarge;
  }
}

const END_RECORD = 0x06054b50;
const END_RECORD_BYTES = 22;
const END64_LOCATOR = 0x07064b50;
const END64_RECORD = 0x06064b50;
const CENTRAL_HEADER = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED_FLAG = 1;
const UTF8_FLAG = 1 << 11;

/**
 * Reads every file of a zip archive, each verified against its checksum. Stored files are views into `archive`. Sizes are taken from the
 * central directory, checked against `limits` before anything is unpacked, and held to while unpacking. Names are given as written: nobody
 * may use them as paths. Source: APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3. fflate reads these too, but without checksums.
 * @throws ZipError
 */
export function readZip(archive: Uint8Array, limits: ZipLimits): Map<string, Uint8Array> {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const entries = readDirectory(archive, view, limits);
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  if (total > limits.bytes) throw new ZipError(`holds ${total} bytes`, total);
  const files = new Map<string, Uint8Array>();
  for (const entry of entries) {
    if (files.has(entry.name)) throw new ZipError(`holds ${entry.name} twice`);
    files.set(entry.name, unpack(archive, view, entry));
  }
  return files;
}

function readDirectory(archive: Uint8Array, view: DataView, limits: ZipLimits): Entry[] {
  const { count, directoryAt, end } = findDirectory(view);
  if (count > limits.entries) throw new ZipError(`holds ${count} files, more than ${limits.entries}`);
  const entries: Entry[] = [];
  let at = directoryAt;
  for (let index = 0; index < count; index += 1) {
    if (at + 46 > end || view.getUint32(at, true) !== CENTRAL_HEADER) throw new ZipError('has a damaged directory');
    const nameBytes = view.getUint16(at + 28, true);
    const extraBytes = view.getUint16(at + 30, true);
    const next = at + 46 + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > end) throw new ZipError('has a damaged directory');
    const flags = view.getUint16(at + 8, true);
    const name = decodeName(archive.subarray(at + 46, at + 46 + nameBytes), flags);
    if ((flags & ENCRYPTED_FLAG) !== 0) throw new ZipError(`holds ${name} encrypted`);
    const wide = readWideSizes(view, at, at + 46 + nameBytes, extraBytes);
    entries.push({ name, method: view.getUint16(at + 10, true), crc: view.getUint32(at + 16, true), ...wide });
    at = next;
  }
  return entries;
}

/** The end record lies at the very end, before a comment of at most 64 KiB. */
function findDirectory(view: DataView): { count: number; directoryAt: number; end: number } {
  const last = view.byteLength - END_RECORD_BYTES;
  for (let at = last; at >= Math.max(0, last - 0xffff); at -= 1) {
    if (view.getUint32(at, true) !== END_RECORD || at + END_RECORD_BYTES + view.getUint16(at + 20, true) !== view.byteLength) continue;
    const count = view.getUint16(at + 10, true);
    const directoryAt = view.getUint32(at + 16, true);
    if (count !== 0xffff && directoryAt !== 0xffff_ffff) return { count, directoryAt, end: at };
    return findWideDirectory(view, at);
  }
  throw new ZipError('is not a zip archive, or is cut off');
}

function findWideDirectory(view: DataView, endAt: number): { count: number; directoryAt: number; end: number } {
  const locatorAt = endAt - 20;
  if (locatorAt < 0 || view.getUint32(locatorAt, true) !== END64_LOCATOR) throw new ZipError('has a damaged directory');
  const at = readWide(view, locatorAt + 8);
  if (at + 56 > locatorAt || view.getUint32(at, true) !== END64_RECORD) throw new ZipError('has a damaged directory');
  return { count: readWide(view, at + 32), directoryAt: readWide(view, at + 48), end: at };
}

/** Sizes and place of a file: in the header, or, where that is full of ones, in the zip64 field of its extra data. */
function readWideSizes(view: DataView, at: number, extraAt: number, extraBytes: number): Pick<Entry, 'bytes' | 'packedBytes' | 'headerAt'> {
  const sizes = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  let wideAt = -1;
  let wideEnd = -1;
  for (let field = extraAt; field + 4 <= extraAt + extraBytes; field += 4 + view.getUint16(field + 2, true)) {
    if (view.getUint16(field, true) !== 1) continue;
    wideAt = field + 4;
    wideEnd = wideAt + view.getUint16(field + 2, true);
  }
  if (wideEnd > extraAt + extraBytes) throw new ZipError('has a damaged directory');
  const [bytes, packedBytes, headerAt] = sizes.map((size) => {
    if (size !== 0xffff_ffff) return size;
    if (wideAt < 0 || wideAt + 8 > wideEnd) throw new ZipError('has a damaged directory');
    wideAt += 8;
    return readWide(view, wideAt - 8);
  }) as [number, number, number];
  return { bytes, packedBytes, headerAt };
}

function readWide(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw new ZipError('announces more bytes than any archive has', Number.MAX_SAFE_INTEGER);
  return value;
}

function unpack(archive: Uint8Array, view: DataView, entry: Entry): Uint8Array {
  const { name, headerAt, packedBytes, bytes } = entry;
  if (headerAt + 30 > archive.byteLength || view.getUint32(headerAt, true) !== LOCAL_HEADER)
    throw new ZipError(`holds no data for ${name}`);
  const start = headerAt + 30 + view.getUint16(headerAt + 26, true) + view.getUint16(headerAt + 28, true);
  if (start + packedBytes > archive.byteLength) throw new ZipError(`is cut off in ${name}`);
  const packed = archive.subarray(start, start + packedBytes);
  const file = entry.method === STORED ? packed : inflate(entry, packed);
  if (file.byteLength !== bytes || crc32(file) !== entry.crc) throw new ZipError(`is damaged in ${name}`);
  return file;
}

function inflate({ name, method, bytes }: Entry, packed: Uint8Array): Uint8Array {
  if (method !== DEFLATED) throw new ZipError(`holds ${name} packed by method ${method}, not by deflate`);
  try {
    const file = inflateRawSync(packed, { maxOutputLength: Math.max(1, bytes) });
    return new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  } catch {
    throw new ZipError(`is damaged in ${name}`);
  }
}

/** UTF-8 where the flag says so, and for the many programs that write it without; never a guessed code page. */
function decodeName(bytes: Uint8Array, flags: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ZipError((flags & UTF8_FLAG) === 0 ? 'holds a file whose name is not in UTF-8' : 'holds a file with a damaged name');
  }
}
