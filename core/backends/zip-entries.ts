import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { HearthlendError } from '../contract/errors.ts';

/** Where an entry lies in a zip file. */
interface ZipEntry {
  name: string;
  method: number;
  crc: number;
  packedBytes: number;
  bytes: number;
  /** Of its local header. */
  offset: number;
}

// PKWARE's APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12 and 4.3.16.
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const MAX_DIRECTORY_BYTES = 16 << 20;
/** In a 32-bit field: the value is in a zip64 record, for which there is no need under 4 GB. */
const ELSEWHERE = 0xffffffff;
const CHUNK_BYTES = 1 << 20;
const STORED = 0;
const DEFLATED = 8;

/** Unpacks single files of a zip, checked by their sizes and CRC. */
export class ZipFile {
  readonly #file: FileHandle;
  readonly #entries: ReadonlyMap<string, ZipEntry>;
  readonly #host: string;

  private constructor(file: FileHandle, entries: ReadonlyMap<string, ZipEntry>, host: string) {
    this.#file = file;
    this.#entries = entries;
    this.#host = host;
  }

  /** @param host where it came from, for words @throws BACKEND_DOWNLOAD_INVALID where it is no zip that can be read */
  static async open(path: string, host: string): Promise<ZipFile> {
    const file = await open(path);
    try {
      return new ZipFile(file, await readDirectory(file, host), host);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Writes an entry's bytes to a new file. @throws BACKEND_DOWNLOAD_INVALID where it is missing, or not what the directory says */
  async extract(name: string, target: string, limitBytes: number): Promise<number> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw invalid(this.#host, `it holds no ${name}`);
    if (entry.bytes > limitBytes) throw invalid(this.#host, `${name} has ${entry.bytes} bytes`);
    const header = await read(this.#file, entry.offset, LOCAL_BYTES, this.#host);
    if (header.readUInt32LE(0) !== LOCAL) throw invalid(this.#host, `${name} is not where its directory says`);
    const start = entry.offset + LOCAL_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
    const out = await open(target, 'wx', 0o600);
    let crc = 0;
    let bytes = 0;
    try {
      const packed = chunksOf(this.#file, start, entry.packedBytes, this.#host);
      const unpack = async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          bytes += chunk.byteLength;
          if (bytes > entry.bytes) throw invalid(this.#host, `${name} is longer than its directory says`);
          crc = crc32(chunk, crc);
          await out.writeFile(chunk);
        }
      };
      await (entry.method === DEFLATED ? pipeline(packed, createInflateRaw(), unpack) : unpack(packed));
      await out.sync();
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code?.startsWith('Z_') === true) throw invalid(this.#host, `${name} can't be unpacked`, cause);
      throw cause;
    } finally {
      await out.close();
    }
    if (bytes !== entry.bytes || crc !== entry.crc) throw invalid(this.#host, `${name} is damaged`);
    return bytes;
  }
}

async function readDirectory(file: FileHandle, host: string): Promise<Map<string, ZipEntry>> {
  const { size } = await file.stat();
  const tailBytes = Math.min(size, END_BYTES + MAX_COMMENT_BYTES);
  const tail = await read(file, size - tailBytes, tailBytes, host);
  const at = findEnd(tail);
  if (at === -1) throw invalid(host, 'it is no zip file');
  const directoryBytes = tail.readUInt32LE(at + 12);
  const directoryAt = tail.readUInt32LE(at + 16);
  if (directoryAt === ELSEWHERE || directoryBytes > MAX_DIRECTORY_BYTES) throw invalid(host, 'its directory is too large');
  const directory = await read(file, directoryAt, directoryBytes, host);
  const entries = new Map<string, ZipEntry>();
  for (let from = 0; from + CENTRAL_BYTES <= directory.length; ) {
    if (directory.readUInt32LE(from) !== CENTRAL) throw invalid(host, 'its directory is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.readUInt16LE(from + field)) as [
      number,
      number,
      number,
    ];
    const entry = {
      name: directory.toString('utf8', from + CENTRAL_BYTES, from + CENTRAL_BYTES + nameBytes),
      method: directory.readUInt16LE(from + 10),
      crc: directory.readUInt32LE(from + 16),
      packedBytes: directory.readUInt32LE(from + 20),
      bytes: directory.readUInt32LE(from + 24),
      offset: directory.readUInt32LE(from + 42),
    };
    if (entry.method === STORED || entry.method === DEFLATED) entries.set(entry.name, entry);
    from += CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

/** The end record, which a comment may follow. */
function findEnd(tail: Buffer): number {
  for (let at = tail.length - END_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) === END && at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length) return at;
  }
  return -1;
}

async function* chunksOf(file: FileHandle, start: number, bytes: number, host: string): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes; at += CHUNK_BYTES) yield await read(file, start + at, Math.min(CHUNK_BYTES, bytes - at), host);
}

async function read(file: FileHandle, position: number, bytes: number, host: string): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
  if (bytesRead !== bytes) throw invalid(host, 'it ends too early');
  return buffer;
}

function invalid(host: string, detail: string, cause?: unknown): HearthlendError {
  return new HearthlendError('BACKEND_DOWNLOAD_INVALID', { host, detail }, { cause });
}
