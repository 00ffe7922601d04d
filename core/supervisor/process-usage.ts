import { readdirSync, readFileSync } from 'node:fs';
import type { Usage } from '../contract/worker-host.ts';

/** Linux counts processor time in these, whatever the kernel's own tick: `getconf CLK_TCK` is 100 on every architecture that Node runs on. */
const MS_PER_TICK = 10;
/** A native worker is a sandbox's two processes and Node, a browser some ten. */
const MAX_PROCESSES = 64;
/** Threads of one process whose children are looked for: whoever starts more is not to keep the agent busy with looking. */
const MAX_LOOKED_AT = 1024;

/** Usage of the tree of processes below `pid`, itself included; null where this system doesn't tell (no /proc), or it is gone. */
export function treeUsage(pid: number): Usage | null {
  const pids = processTree(pid);
  if (pids === null) return null;
  const usage = { residentBytes: 0, cpuMs: 0, threads: 0 };
  for (const each of pids) {
    const stat = readProc(`${each}/stat`);
    if (stat === null) continue;
    // The second field is the program's name in parentheses and may hold anything; what follows it is numbers, from field 3 on.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    usage.cpuMs += (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
    usage.threads += Number(fields[17]);
    usage.residentBytes += residentBytes([each]);
  }
  return usage;
}

/** What these processes hold in memory; those that are gone hold nothing. */
export function residentBytes(pids: readonly number[]): number {
  // In kB, while stat counts pages, whose size differs between kernels. A zombie has none.
  return pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s*(\d+) kB$/m.exec(readProc(`${pid}/status`) ?? '')?.[1] ?? 0) * 1024, 0);
}

/** `pid` and the processes below it. Null where the kernel doesn't list children, or `pid` is gone. */
export function processTree(pid: number): number[] | null {
  const found = [pid];
  for (let next = 0; next < found.length && found.length < MAX_PROCESSES; next += 1) {
    const children = childrenOf(found[next] as number);
    if (children === null && next === 0) return null;
    found.push(...(children ?? []));
  }
  return found;
}

function childrenOf(pid: number): number[] | null {
  if (process.platform !== 'linux') return null;
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`).slice(0, MAX_LOOKED_AT);
  } catch {
    return null;
  }
  const lists = threads.map((thread) => readProc(`${pid}/task/${thread}/children`));
  if (lists.every((list) => list === null)) return null;
  return lists.flatMap((list) => (list ?? '').split(' ').filter(Boolean).map(Number));
}

/** A file of /proc; null where it is gone with its process, or isn't ours to read. */
function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return null;
  }
}
