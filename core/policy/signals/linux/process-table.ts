import { followProc, listProc, readProc } from './proc.ts';
import { type ProcessFacts, programNames } from './program-names.ts';

/** At these ages a process is looked at again: what starts a program has become that program by then (exec). */
const YOUNG_LOOKS_MS = [500, 2000, 8000];
const GROWN = YOUNG_LOOKS_MS.length;
/** So many are looked at again at one poll; the rest wait for the next. New ones don't wait. */
const LOOKS_A_POLL = 20;
/** Of up to so many numbers given since the last poll each is tried, which costs less than a listing. */
const NUMBERS_A_POLL = 40;
/** Within this every process is looked at again, however old. */
const ROUND_MS = 30_000;
/** Processes are listed at least so often, though no new one is known of: others have ended. */
const LIST_MS = 2000;

/** What is read of the machine, so that tests can count. Times in ms. */
export interface ProcReads {
  pids(): number[];
  /** The number that was given to a process or thread last; null where it isn't told. */
  lastPid(): number | null;
  comm(pid: number): string | null;
  /** Whether a number is that of a thread, which has all of its process's facts. */
  isThread(pid: number): boolean;
  facts(pid: number): ProcessFacts | null;
  now(): number;
}

interface Entry {
  comm: string;
  names: string[];
  seenAt: number;
  looks: number;
}

/** The running programs. A poll costs a small read while nothing new is started, and a few for each that is; a listing every two seconds. */
export interface ProcessTable {
  /** Whether any program has come, gone or become another. */
  poll(): boolean;
  /** Process ids of programs of which a name is asked for, with that name's answer. From now on their end is noticed at every poll. */
  matches(nameOf: (name: string) => string | undefined): { pid: number; name: string }[];
}

export function createProcessTable(reads: ProcReads = procReads): ProcessTable {
  /** In the order in which they were looked at. */
  const entries = new Map<number, Entry>();
  let matched: number[] = [];
  let lastPid: number | null = null;
  let listedAt = Number.NEGATIVE_INFINITY;

  const look = (pid: number, now: number, isFirst: boolean): boolean => {
    const known = entries.get(pid);
    entries.delete(pid);
    const comm = reads.comm(pid);
    if (comm === null) return known !== undefined;
    if (known !== undefined && known.comm === comm) {
      entries.set(pid, { ...known, looks: known.looks + 1 });
      return false;
    }
    const facts = reads.facts(pid);
    if (facts === null) return known !== undefined;
    entries.set(pid, { comm, names: programNames(facts), seenAt: known?.seenAt ?? now, looks: known?.looks ?? (isFirst ? GROWN : 0) });
    return true;
  };

  /** Forgets those that are gone. Returns those that are new, and how many of the old ones it is the turn of. */
  const list = (now: number): { gone: boolean; fresh: number[]; round: number } => {
    const alive = new Set(reads.pids());
    let gone = false;
    for (const pid of entries.keys()) if (!alive.has(pid)) gone = entries.delete(pid);
    const round = Math.ceil((entries.size * Math.min(ROUND_MS, now - listedAt)) / ROUND_MS);
    listedAt = now;
    return { gone, fresh: [...alive].filter((pid) => !entries.has(pid)), round };
  };

  /** Processes under numbers that were given since; null where those are too many, or can't be told. */
  const givenSince = (before: number | null, last: number | null): number[] | null => {
    if (before === null || last === null || last < before || last - before > NUMBERS_A_POLL) return null;
    const numbers = Array.from({ length: last - before }, (_, at) => before + 1 + at);
    return numbers.filter((pid) => !entries.has(pid) && !reads.isThread(pid));
  };

  const youngAndOld = (now: number, round: number): number[] => {
    const due: number[] = [];
    for (const [pid, { seenAt, looks }] of entries) {
      if (due.length >= Math.max(round, LOOKS_A_POLL)) break;
      const age = YOUNG_LOOKS_MS[looks];
      if (due.length < round || (age !== undefined && now - seenAt >= age)) due.push(pid);
    }
    return due;
  };

  return {
    poll() {
      const now = reads.now();
      const isFirst = listedAt === Number.NEGATIVE_INFINITY;
      // Read before anything else: what is started from here on is news at the next poll.
      const last = reads.lastPid();
      const given = now - listedAt >= LIST_MS ? null : givenSince(lastPid, last);
      lastPid = last;
      const { gone, fresh, round } = given === null ? list(now) : { gone: false, fresh: given, round: 0 };
      let changed = gone;
      for (const pid of new Set([...fresh, ...matched, ...youngAndOld(now, round)])) if (look(pid, now, isFirst)) changed = true;
      return changed;
    },
    matches(nameOf) {
      const found: { pid: number; name: string }[] = [];
      for (const [pid, { names }] of entries) {
        const name = names.map(nameOf).find((each) => each !== undefined);
        if (name !== undefined) found.push({ pid, name });
      }
      matched = found.map(({ pid }) => pid);
      return found;
    },
  };
}

const procReads: ProcReads = {
  pids: () => listProc(''),
  lastPid() {
    const last = Number(readProc('loadavg')?.trim().split(' ')[4]);
    return Number.isInteger(last) ? last : null;
  },
  comm: (pid) => readProc(`${pid}/comm`)?.trimEnd() ?? null,
  isThread: (pid) => !(readProc(`${pid}/status`)?.includes(`\nTgid:\t${pid}\n`) ?? true),
  facts(pid) {
    const [comm, cmdline] = [readProc(`${pid}/comm`), readProc(`${pid}/cmdline`)];
    return comm === null || cmdline === null ? null : { comm: comm.trimEnd(), exe: followProc(`${pid}/exe`), cmdline };
  },
  now: () => performance.now(),
};
