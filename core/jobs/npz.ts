import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { Zip, ZipPassThrough } from 'fflate';
import { HearthlendError } from '../contract/errors.ts';
import { elementCount, TENSOR_TYPES, type Tensors } from '../contract/tensor.ts';
import { decodeNpy, encodeNpyPrefix, isNpy } from './npy.ts';
import { readZip, ZipError } from './zip.ts';

const MAX_ARRAYS = 4096;
/** TensorName's bound, in characters. */
const MAX_NAME_LENGTH = 1024;
/** Without zip64, which fflate doesn't write, an archive ends here. */
const MAX_ARCHIVE_BYTES = 0xffff_ffff;
/** What an archive may add to its arrays: headers, directory, padding. */
const MAX_OVERHEAD_BYTES = 64 << 20;

/**
 * Reads the arrays of an .npz file, as numpy.savez and savez_compressed write it.
 * @param maxBytes bound of all arrays together, unpacked
 * @throws FILE_UNREADABLE, NPZ_INVALID, TENSOR_TYPE_UNSUPPORTED, TENSOR_TOO_LARGE
 */
export async function readNpz(path: string, maxBytes: number): Promise<Tensors> {
  let archive: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > maxBytes + MAX_OVERHEAD_BYTES) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes: size, limit: maxBytes });
    const file = await readFile(path);
    archive = new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
  return decodeNpz(archive, maxBytes, path);
}

/** The arrays of an .npz archive in memory. @param path for errors @throws as readNpz does */
export function decodeNpz(archive: Uint8Array, maxBytes: number, path: string): Tensors {
  const invalid = (detail: string, cause?: unknown) => new HearthlendError('NPZ_INVALID', { path, detail }, { cause });
  if (isNpy(archive)) throw invalid("it is a single .npy array; save it with numpy.savez under its input's name");
  let files: Map<string, Uint8Array>;
  try {
    files = readZip(archive, { entries: MAX_ARRAYS, bytes: maxBytes });
  } catch (cause) {
    if (!(cause instanceof ZipError)) throw cause;
    if (cause.tooLarge !== undefined) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes: cause.tooLarge, limit: maxBytes }, { cause });
    throw invalid(`it ${cause.message}`, cause);
  }
  const tensors: Tensors = new Map();
  for (const [file, bytes] of files) {
    if (!file.endsWith('.npy')) throw invalid(`it holds ${file}, which is no .npy array`);
    const name = file.slice(0, -'.npy'.length);
    if (name === '' || name.length > MAX_NAME_LENGTH) throw invalid(`it holds an array with a name of ${name.length} characters`);
    tensors.set(name, decodeNpy(bytes, name, path));
  }
  return tensors;
}

/**
 * Writes tensors as an uncompressed .npz that numpy.load gives back under the same names, slashes and colons included. The file appears whole
 * or not at all.
 * @returns the bytes written
 * @throws TENSOR_INVALID, TENSOR_TOO_LARGE, DISK_FULL, FILE_UNWRITABLE
 */
export async function writeNpz(path: string, tensors: Tensors): Promise<number> {
  const unfinished = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const file = await open(unfinished, 'wx');
    let bytes = 0;
    try {
      for (const chunk of npzChunks(tensors)) {
        bytes += chunk.byteLength;
        await file.writeFile(chunk);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    return bytes;
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    if (cause instanceof HearthlendError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') throw new HearthlendError('DISK_FULL', { path }, { cause });
    throw new HearthlendError('FILE_UNWRITABLE', { path, detail: message }, { cause });
  }
}

/** The archive piece by piece, so that no second copy of the tensors is held. */
function* npzChunks(tensors: Tensors): Generator<Uint8Array, void, undefined> {
  checkWritable(tensors);
  let chunks: Uint8Array[] = [];
  const zip = new Zip((error, chunk) => {
    if (error !== null) throw error;
    chunks.push(chunk);
  });
  const taken = (): Uint8Array[] => {
    const ready = chunks;
    chunks = [];
    return ready;
  };
  for (const [name, tensor] of tensors) {
    const file = new ZipPassThrough(`${name}.npy`);
    // The same tensors give the same bytes, whenever they are written. Zip's earliest date.
    file.mtime = new Date(1980, 0, 1);
    zip.add(file);
    file.push(encodeNpyPrefix(tensor), tensor.data.byteLength === 0);
    if (tensor.data.byteLength > 0) file.push(tensor.data, true);
    yield* taken();
  }
  zip.end();
  yield* taken();
}

function checkWritable(tensors: Tensors): void {
  let total = 0;
  for (const [name, { type, shape, data }] of tensors) {
    const expected = elementCount(shape) * TENSOR_TYPES[type].bytes;
    if (data.byteLength !== expected)
      throw new HearthlendError('TENSOR_INVALID', { name, detail: `${data.byteLength} bytes where its shape needs ${expected}` });
    // Python cuts an entry's name at a NUL.
    if (name === '' || name.includes('\0') || name.length > MAX_NAME_LENGTH)
      throw new HearthlendError('TENSOR_INVALID', { name, detail: "its name can't stand in an .npz file" });
    total += data.byteLength + 1024 + 8 * name.length;
  }
  if (total > MAX_ARCHIVE_BYTES) throw new HearthlendError('TENSOR_TOO_LARGE', { bytes: total, limit: MAX_ARCHIVE_BYTES });
}
