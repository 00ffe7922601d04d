import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { HearthlendError } from '../contract/errors.ts';
import { followProc, listProc, ownProcesses, readProc } from './signals/linux/proc.ts';
import { programNames } from './signals/linux/program-names.ts';

const WITHIN_MS = 5000;
const MAX_PROGRAMS = 500;
const MAX_BYTES = 8 << 20;

/** How each system is asked once, where it isn't a matter of reading files. Only the user's own programs, without services. */
const QUESTIONS: Partial<Record<NodeJS.Platform, { command: string; args: string[]; read(told: string): string[] }>> = {
  win32: { command: 'tasklist.exe', args: ['/fo', 'csv', '/nh'], read: readTasklist },
  darwin: { command: '/bin/ps', args: ['-xo', 'comm='], read: readPs },
};

/**
 * The files of the user's programs that run now, by the names under which they can be put on the list; ours are left out. Asked when the user
 * wants to add one, never in a loop. @throws PROGRAMS_UNKNOWN
 */
export async function runningPrograms(platform: NodeJS.Platform): Promise<string[]> {
  if (platform === 'linux') return listed(ofProc());
  const question = QUESTIONS[platform];
  if (question === undefined) throw new HearthlendError('PROGRAMS_UNKNOWN', { detail: platform });
  const { command, args, read } = question;
  const options = { timeout: WITHIN_MS, maxBuffer: MAX_BYTES, windowsHide: true };
  const { stdout } = await promisify(execFile)(command, args, options).catch((cause: Error) => {
    throw new HearthlendError('PROGRAMS_UNKNOWN', { detail: cause.message.split('\n', 1)[0] ?? '' }, { cause });
  });
  return listed(read(stdout));
}

function listed(names: readonly string[]): string[] {
  const own = /^(hearthlend|tasklist(\.exe)?|ps)$/i;
  return [...new Set(names)]
    .filter((name) => name !== '' && name.length <= 260 && !own.test(name))
    .sort((a, b) => a.localeCompare(b))
    .slice(0, MAX_PROGRAMS);
}

/** A program whose file can't be followed is somebody else's, or the kernel's. */
function ofProc(): string[] {
  const own = ownProcesses();
  return listProc('').flatMap((pid) => {
    const exe = followProc(`${pid}/exe`);
    const cmdline = readProc(`${pid}/cmdline`);
    if (own.has(pid) || exe === null || cmdline === null) return [];
    // Of Wine's programs the Windows name is among the others: it is the one that a person knows. Arguments may be anything, the file is not.
    const names = programNames({ comm: readProc(`${pid}/comm`)?.trimEnd() ?? '', exe, cmdline });
    if (names.length === 0) return [];
    return names.find((name) => /\.exe$/i.test(name)) ?? exe.slice(exe.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '');
  });
}

/** `"blender.exe","4712","Console","1","812,344 K"` a line; session 0 is that of services. */
export function readTasklist(told: string): string[] {
  return told.split(/\r?\n/).flatMap((line) => {
    const [, name = '', session = '0'] = /^"([^"]+)","\d+","[^"]*","(\d+)"/.exec(line) ?? [];
    return session === '0' ? [] : [name];
  });
}

/** A path a line; what the system itself keeps running lies under /System and /usr/libexec. */
export function readPs(told: string): string[] {
  return told
    .split('\n')
    .map((line) => line.trim())
    .filter((path) => path !== '' && !/^(\/System\/|\/usr\/(libexec|sbin)\/|\/Library\/Apple\/|\()/.test(path))
    .map((path) => path.slice(path.lastIndexOf('/') + 1).replace(/^-/, ''));
}
