import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isRunning } from './program.ts';

const CHUNK_BYTES = 8 << 20;

/** Which of these secrets lie anywhere in a process's memory, as UTF-8, as UTF-16 or as raw bytes. Linux, and root or the same user. */
export function secretsInMemory(pid: number, secrets: Readonly<Record<string, string | Buffer>>): string[] {
  const needles = Object.entries(secrets).flatMap(([name, secret]): [string, Buffer][] =>
    typeof secret === 'string'
      ? [
          [name, Buffer.from(secret, 'utf8')],
          [name, Buffer.from(secret, 'utf16le')],
        ]
      : [[name, secret]],
  );
  // A worker may end while it is looked at; then there is nothing left to find.
  if (!isRunning(pid)) return [];
  const overlap = Math.max(...needles.map(([, needle]) => needle.length));
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const chunk = Buffer.alloc(CHUNK_BYTES + overlap);
  try {
    for (const [from, to] of readableRegions(pid)) {
      for (let at = from; at < to; at += CHUNK_BYTES) {
        const bytes = readAt(memory, chunk.subarray(0, Math.min(chunk.length, to - at)), at);
        for (const [name, needle] of needles) if (bytes.includes(needle)) found.add(name);
      }
    }
  } finally {
    closeSync(memory);
    chunk.fill(0);
  }
  return [...found];
}

/** What can be written, and so can hold what came in. Source: proc_pid_maps(5). */
function readableRegions(pid: number): [number, number][] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line): [number, number][] => {
      const region = /^([0-9a-f]+)-([0-9a-f]+) rw.. .*?(\[vvar\]|\[vsyscall\])?$/.exec(line);
      if (region === null || region[3] !== undefined) return [];
      return [[Number.parseInt(region[1] ?? '', 16), Number.parseInt(region[2] ?? '', 16)]];
    });
}

/** What is there; nothing where the region went away since it was listed, or is a device's. */
function readAt(memory: number, into: Buffer, at: number): Buffer {
  try {
    return into.subarray(0, readSync(memory, into, 0, into.length, at));
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'EIO' || code === 'EFAULT') return into.subarray(0, 0);
    throw thrown;
  }
}
