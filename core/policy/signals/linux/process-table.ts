import { followProc, listProc, readProc } from './proc.ts';
import { type ProcessFacts, programNames } from './program-names.ts';

/** At these ages a process is looked at again: what starts a program has become that program by then (exec). */
const YOUNG_LOOKS_MS = [500, 1000, 2000, 4000, 8000];
/** All older ones are looked at again once in so many polls. */
const ROUND_POLLS = 60;

/** What is read of the machine, so that tests can count. Times in ms. */
export interface ProcReads {
  pids(): number[];
  comm(pid: number): string | null;
  facts(pid: number): ProcessFacts | null;
  now(): number;
}

interface Entry {
  comm: string;
  names: string[];
  seenAt: number;
  looks: number;
}

/** The running programs. A poll costs a listing and one small read for each process that is new, or whose turn it is. */
export interface ProcessTable {
  /** Whether any program has come, gone or become another. */
  poll(): boolean;
  /** Process ids of programs of which a name is asked for, with that name's answer. */
  matches(nameOf: (name: string) => string | undefined): { pid: number; name: string }[];
  /** Every running program's likeliest name, once. */
  names(): string[];
}

export function createProcessTable(reads: ProcReads = procReads): ProcessTable {
  const entries = new Map<number, Entry>();
  let polls = 0;

  const look = (pid: number, known: Entry | undefined, now: number): boolean => {
    const comm = reads.comm(pid);
    if (comm === null) return entries.delete(pid);
    if (known !== undefined && known.comm === comm) {
      known.looks += 1;
      return false;
    }
    const facts = reads.facts(pid);
    if (facts === null) return entries.delete(pid);
    entries.set(pid, { comm, names: programNames(facts), seenAt: known?.seenAt ?? now, looks: (known?.looks ?? -1) + 1 });
    return true;
  };

  return {
    poll() {
      const now = reads.now();
      const turn = polls % ROUND_POLLS;
      polls += 1;
      const alive = new Set(reads.pids());
      let changed = false;
      for (const pid of entries.keys()) if (!alive.has(pid)) changed = entries.delete(pid);
      for (const pid of alive) {
        const known = entries.get(pid);
        const young = known === undefined ? undefined : YOUNG_LOOKS_MS[known.looks];
        const due = known === undefined || pid % ROUND_POLLS === turn || (young !== undefined && now - known.seenAt >= young);
        if (due && look(pid, known, now)) changed = true;
      }
      return changed;
    },
    matches(nameOf) {
      const found: { pid: number; name: string }[] = [];
      for (const [pid, { names }] of entries) {
        const name = names.map(nameOf).find((each) => each !== undefined);
        if (name !== undefined) found.push({ pid, name });
      }
      return found;
    },
    names: () => [...new Set([...entries.values()].flatMap(({ names }) => names.slice(0, 1)))],
  };
}

const procReads: ProcReads = {
  pids: () => listProc(''),
  comm: (pid) => readProc(`${pid}/comm`)?.trimEnd() ?? null,
  facts(pid) {
    const [comm, cmdline] = [readProc(`${pid}/comm`), readProc(`${pid}/cmdline`)];
    return comm === null || cmdline === null ? null : { comm: comm.trimEnd(), exe: followProc(`${pid}/exe`), cmdline };
  },
  now: () => performance.now(),
};
