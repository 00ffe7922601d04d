import { constants } from 'node:fs';
import { copyFile, readdir, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { HearthlendError } from '../../contract/errors.ts';
import { ModelPath } from '../../contract/model.ts';
import { hashFile } from '../digest.ts';
import { onDisk } from '../place.ts';
import type { ListedFile, Listing } from './listing.ts';

const MAX_ENTRIES = 10_000;
const MAX_DEPTH = 4;

/**
 * A model on this machine: an .onnx file with what lies beside it, or a folder in which one lies. Files are copied, so that what is added stays
 * what it is when the original changes. A graph in a folder `onnx` has its configuration in the folder above it, as Optimum lays it out.
 * @returns the listing, and the graph that was meant where a file was named
 * @throws MODEL_NOT_FOUND, FILE_UNREADABLE, MODEL_PATH_UNSAFE
 */
export async function listFolder(path: string): Promise<{ listing: Listing; entry: string | null }> {
  try {
    const real = await realpath(path);
    const isFolder = (await stat(real)).isDirectory();
    const folder = isFolder ? real : dirname(real);
    const root = !isFolder && basename(folder) === 'onnx' && (await isFile(join(folder, '..', 'config.json'))) ? dirname(folder) : folder;
    const files = await filesBelow(root, isFolder || root !== folder ? MAX_DEPTH : 1);
    const entry = isFolder ? null : slashed(relative(root, real));
    if (entry !== null && !files.some((file) => file.path === entry))
      files.push({ path: entry, bytes: (await stat(real)).size, digest: null });
    return { listing: listingOf(root, real, files), entry };
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new HearthlendError('MODEL_NOT_FOUND', { path }, { cause });
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: message }, { cause });
  }
}

function listingOf(root: string, named: string, files: ListedFile[]): Listing {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return {
    origin: { type: 'folder', path: named },
    name: named,
    licence: null,
    needsLicence: false,
    files,
    // A graph may name a file further down than was looked.
    find: (path) => byPath.get(path) ?? { path, bytes: null, digest: null },
    async bring(file, { part, limitBytes }, onBytes) {
      const from = await insideOf(root, file.path);
      const { size } = await stat(from);
      if (size > limitBytes) throw new HearthlendError('MODEL_TOO_LARGE', { bytes: size, limit: limitBytes, missing: size - limitBytes });
      await rm(part, { force: true });
      await onDisk(part, () => copyFile(from, part, constants.COPYFILE_FICLONE));
      const { bytes, digest } = await hashFile(part);
      onBytes(bytes);
      return { path: file.path, bytes, digest };
    },
  };
}

/** @throws MODEL_DATA_MISSING, MODEL_PATH_UNSAFE where a link leads out of the model's folder */
async function insideOf(root: string, path: string): Promise<string> {
  const real = await realpath(join(root, path)).catch((cause: unknown) => {
    throw new HearthlendError('MODEL_DATA_MISSING', { path }, { cause });
  });
  if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) throw new HearthlendError('MODEL_PATH_UNSAFE', { path });
  return real;
}

async function filesBelow(root: string, depth: number): Promise<ListedFile[]> {
  const found: ListedFile[] = [];
  let looked = 0;
  const look = async (folder: string, left: number): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      looked += 1;
      if (looked > MAX_ENTRIES)
        throw new HearthlendError('FILE_UNREADABLE', { path: root, detail: `it holds more than ${MAX_ENTRIES} files` });
      const path = join(folder, entry.name);
      if (entry.isDirectory() && left > 1 && !entry.name.startsWith('.')) await look(path, left - 1);
      const name = slashed(relative(root, path));
      if (entry.isFile() && ModelPath.safeParse(name).success) found.push({ path: name, bytes: (await stat(path)).size, digest: null });
    }
  };
  await look(root, depth);
  return found;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (file) => file.isFile(),
    () => false,
  );
}

function slashed(path: string): string {
  return path.split(sep).join('/');
}
