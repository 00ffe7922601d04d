import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { programNames } from './program-names.ts';

/** Enough for a command line whose first words are all that is looked at. */
const buffer = Buffer.allocUnsafe(4096);

/** The beginning of a file of /proc, read without a detour: most of these reads are thousands a minute. Null where it is gone, or isn't ours to read. */
export function readProc(path: string): string | null {
  let file: number | undefined;
  try {
    file = openSync(`/proc/${path}`, 'r');
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.byteLength, 0));
  } catch {
    return null;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Where a link of /proc points; null where it is gone, or isn't ours to follow. */
export function followProc(path: string): string | null {
  try {
    return readlinkSync(`/proc/${path}`);
  } catch {
    return null;
  }
}

/** Names in a folder of /proc that are numbers: processes, threads, file descriptors. Empty where it is gone, or isn't ours to read. */
export function listProc(path: string): number[] {
  try {
    const numbers: number[] = [];
    for (const name of readdirSync(`/proc/${path}`)) {
      const first = name.charCodeAt(0);
      if (first >= 48 && first <= 57) numbers.push(Number(name));
    }
    return numbers;
  } catch {
    return [];
  }
}

const MAX_OWN = 1024;

/** This process and all below it: what is ours. */
export function ownProcesses(root = process.pid): Set<number> {
  const own = new Set([root]);
  for (const pid of own) {
    if (own.size >= MAX_OWN) break;
    for (const thread of listProc(`${pid}/task`)) {
      for (const child of (readProc(`${pid}/task/${thread}/children`) ?? '').split(' ')) if (child !== '') own.add(Number(child));
    }
  }
  return own;
}

/** The program of a process; null where it is gone. */
export function programOf(pid: number): { name: string; ours: boolean } | null {
  const names = programNames({
    comm: readProc(`${pid}/comm`)?.trimEnd() ?? '',
    exe: followProc(`${pid}/exe`),
    cmdline: readProc(`${pid}/cmdline`) ?? '',
  });
  return names[0] === undefined ? null : { name: names[0], ours: ownProcesses().has(pid) };
}
