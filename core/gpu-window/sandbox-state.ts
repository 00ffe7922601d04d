import { readdirSync, readFileSync } from 'node:fs';

/** What the kernel says of a browser's processes. */
export interface SandboxState {
  /** Processes in which pages run. */
  pages: number;
  /** Of those, how many have a system call filter and process ids of their own. */
  confined: number;
  /** Whether the process that speaks with the GPU's driver has a system call filter; null where there is none. */
  gpuFiltered: boolean | null;
}

/** One process: its command line, and /proc/<pid>/status. */
export interface ProcessFacts {
  command: string;
  status: string;
}

/** Chromium's sandbox, as the kernel shows it: a filter (seccomp mode 2) and a process namespace (a second number in NSpid). */
export function sandboxState(processes: readonly ProcessFacts[]): SandboxState {
  const filtered = ({ status }: ProcessFacts) => /^Seccomp:\s*2$/m.test(status);
  const ownIds = ({ status }: ProcessFacts) => /^NSpid:\s*\d+\s+\d+/m.test(status);
  const pages = processes.filter(({ command }) => command.includes('--type=renderer'));
  const gpu = processes.find(({ command }) => command.includes('--type=gpu-process'));
  return {
    pages: pages.length,
    confined: pages.filter((each) => filtered(each) && ownIds(each)).length,
    gpuFiltered: gpu === undefined ? null : filtered(gpu),
  };
}

/** All processes of a group; null where this system doesn't tell. */
export function processGroup(group: number): ProcessFacts[] | null {
  if (process.platform !== 'linux') return null;
  const found: ProcessFacts[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // After the program's name in parentheses: state, parent, group.
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) !== group) continue;
      found.push({ command: readFileSync(`/proc/${name}/cmdline`, 'utf8'), status: readFileSync(`/proc/${name}/status`, 'utf8') });
    } catch {
      // It ended while we looked, and is no process any more.
    }
  }
  return found;
}
