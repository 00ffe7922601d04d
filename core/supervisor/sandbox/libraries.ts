import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { HearthlendError } from '../../contract/errors.ts';

const LIST_MS = 10_000;
const LIST_BYTES = 1 << 20;
const PROGRAM_INTERPRETER = 3;
const HEADERS_MAX = 256;

/**
 * The dynamic loader that `program` asks for and every shared library that the loader would give to `program` and `addons`, by the paths
 * under which it finds them. The loader itself is asked (glibc and musl both answer to `--list`), so its search path, cache and hardware
 * variants count. Libraries that lie in one of `folders` come along with those.
 * @throws WORKER_START_FAILED where the program is no dynamic 64-bit ELF file, or the loader finds a library missing.
 */
export async function resolveLibraries(program: string, addons: string[], folders: string[]): Promise<string[]> {
  const loader = await readInterpreter(program);
  const found = new Set([loader]);
  for (const file of [program, ...addons]) {
    const listed = await promisify(execFile)(loader, ['--list', file], { env: {}, timeout: LIST_MS, maxBuffer: LIST_BYTES }).catch(
      (cause: Error) => {
        throw new HearthlendError('WORKER_START_FAILED', { detail: `${file} can't be loaded: ${cause.message}` }, { cause });
      },
    );
    for (const path of parseLibraryList(listed.stdout)) if (!folders.some((folder) => path.startsWith(`${folder}/`))) found.add(path);
  }
  return [...found];
}

/** The paths in what a dynamic loader prints for `--list`. @throws WORKER_START_FAILED for a library that it did not find. */
export function parseLibraryList(text: string): string[] {
  const { paths, missing } = splitLibraryList(text);
  if (missing.length > 0) throw new HearthlendError('WORKER_START_FAILED', { detail: `the library ${missing[0]} is missing` });
  return paths;
}

/** What a dynamic loader prints for `--list`: the paths that it found, and the names of what it did not find. */
export function splitLibraryList(text: string): { paths: string[]; missing: string[] } {
  const paths: string[] = [];
  const missing: string[] = [];
  for (const line of text.split('\n')) {
    const absent = /^\s*(\S+) => not found/.exec(line) ?? /^Error loading shared library (\S+):/.exec(line);
    if (absent?.[1] !== undefined) missing.push(absent[1]);
    // "name => /path (0x…)", and "/path (0x…)" for what is asked for by its path
    const path = /^\s*(?:\S+ => )?(\/.*) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    if (path !== undefined) paths.push(path);
  }
  return { paths, missing };
}

/** PT_INTERP of a 64-bit little-endian ELF file (System V ABI, chapter 5). */
export async function readInterpreter(program: string): Promise<string> {
  const bad = (detail: string): HearthlendError => new HearthlendError('WORKER_START_FAILED', { detail: `${program} ${detail}` });
  const file = await open(program).catch((cause: Error) => {
    throw new HearthlendError('WORKER_START_FAILED', { detail: cause.message }, { cause });
  });
  try {
    const header = await read(64, 0);
    if (header.readUInt32BE(0) !== 0x7f454c46 || header[4] !== 2 || header[5] !== 1) throw bad('is no 64-bit ELF program');
    const entryBytes = header.readUInt16LE(54);
    const entries = header.readUInt16LE(56);
    if (entryBytes < 56 || entries > HEADERS_MAX) throw bad('has program headers that make no sense');
    const headers = await read(entryBytes * entries, Number(header.readBigUInt64LE(32)));
    for (let at = 0; at < headers.length; at += entryBytes) {
      if (headers.readUInt32LE(at) !== PROGRAM_INTERPRETER) continue;
      const size = Number(headers.readBigUInt64LE(at + 32));
      if (size > 4096) break;
      const path = await read(size, Number(headers.readBigUInt64LE(at + 8)));
      return path.toString('utf8').replace(/\0.*$/s, '');
    }
    throw bad('names no dynamic loader');
  } finally {
    await file.close();
  }

  async function read(bytes: number, position: number): Promise<Buffer> {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
    if (bytesRead !== bytes) throw bad('ends too early');
    return buffer;
  }
}
