import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';
import { storageError } from '../contract/storage-error.ts';
import { CUDA_FILES, CUDA_PACKAGE, findPackage, type ReadJson } from './nuget.ts';
import { ZipFile } from './zip-entries.ts';

export interface AddCudaRequest {
  /** Version of the installed onnxruntime-node: the provider must be of the very same. */
  onnxruntime: string;
  platform: NodeJS.Platform;
  arch: string;
  feed: URL;
  /** Where its libraries are to lie; it appears whole or not at all. */
  folder: string;
  readJson: ReadJson;
  /** Brings a file to `part`, going on from what is there, and no more than `bytes` of it. */
  bring(url: URL, part: string, bytes: number, onBytes: (bytes: number) => void): Promise<void>;
  onProgress(progress: AddCudaProgress): void;
}

export type AddCudaProgress = { step: 'fetching'; bytes: number; totalBytes: number } | { step: 'unpacking' };

/** The package of ONNX Runtime 1.20 has some 0.4 GB, its provider unpacked about 1 GB. */
const MAX_PACKAGE_BYTES = 3 * 2 ** 30;
const MAX_LIBRARY_BYTES = 3 * 2 ** 30;

/**
 * Fetches ONNX Runtime's CUDA provider and lays it beside no other version's. What it needs of CUDA and cuDNN is not in there.
 * @returns how many bytes were added; 0 where it is there already
 * @throws BACKEND_UNKNOWN, BACKEND_DOWNLOAD_INVALID, DIGEST_MISMATCH, DISK_FULL, DATA_DIR_UNWRITABLE, CANCELLED, and what fetching throws
 */
export async function addCuda(request: AddCudaRequest): Promise<number> {
  const { onnxruntime, platform, arch, folder, feed, onProgress } = request;
  if (platform !== 'linux' || arch !== 'x64') {
    throw new HearthlendError('BACKEND_UNKNOWN', {
      backend: 'CUDA',
      detail: `ONNX Runtime has it for Linux on x64, this is ${platform} on ${arch}`,
    });
  }
  if (await isComplete(folder)) return 0;
  const parent = dirname(folder);
  await onDisk(folder, () => mkdir(parent, { recursive: true, mode: 0o700 }));
  await sweep(parent, folder);
  const found = await findPackage(feed, CUDA_PACKAGE, onnxruntime, request.readJson);
  if (found.bytes > MAX_PACKAGE_BYTES) {
    throw new HearthlendError('BACKEND_DOWNLOAD_INVALID', { host: feed.host, detail: `it has ${found.bytes} bytes` });
  }
  const part = `${folder}.nupkg`;
  const { bytes: totalBytes } = found;
  await request.bring(found.url, part, totalBytes, (bytes) => onProgress({ step: 'fetching', bytes, totalBytes }));
  onProgress({ step: 'unpacking' });
  const actual = await sha512Of(part);
  if (actual !== found.sha512) {
    await rm(part, { force: true });
    throw new HearthlendError('DIGEST_MISMATCH', { what: basename(found.url.pathname), expected: found.sha512, actual });
  }
  const bytes = await onDisk(folder, () => place(part, folder, found.url.host));
  await rm(part, { force: true });
  return bytes;
}

async function place(part: string, folder: string, host: string): Promise<number> {
  const fresh = await mkdtemp(`${folder}.new-`);
  let bytes = 0;
  try {
    const zip = await ZipFile.open(part, host);
    try {
      for (const { name, path } of CUDA_FILES) bytes += await zip.extract(path, join(fresh, name), MAX_LIBRARY_BYTES);
    } finally {
      await zip.close();
    }
    await syncFolder(fresh);
    // What is there is not whole, or it would have been kept.
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
    await syncFolder(dirname(folder));
    return bytes;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

async function isComplete(folder: string): Promise<boolean> {
  for (const { name } of CUDA_FILES) {
    const found = await stat(join(folder, name)).catch(() => null);
    if (found?.isFile() !== true || found.size === 0) return false;
  }
  return true;
}

/** What killed tries left half unpacked. */
async function sweep(parent: string, folder: string): Promise<void> {
  const prefix = `${basename(folder)}.new-`;
  for (const name of await readdir(parent)) if (name.startsWith(prefix)) await rm(join(parent, name), { recursive: true, force: true });
}

async function sha512Of(path: string): Promise<string> {
  const hash = createHash('sha512');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function onDisk<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (thrown) {
    throw thrown instanceof HearthlendError ? thrown : storageError(path, thrown);
  }
}
