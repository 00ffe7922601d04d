import { appendFileSync, renameSync, statSync } from 'node:fs';
import type { Settings } from '../contract/settings.ts';

type Level = Settings['logLevel'];

/** One structured log line: what happened, with its facts. Never a key, a payload or a prompt. */
export interface Log {
  (level: Level, event: string, facts?: Record<string, unknown>): void;
  /** From now on lines that are less grave than this are left out. A log without it takes all. */
  setLevel?(least: Level): void;
}

/** A log file is put aside at this size. */
const MAX_BYTES = 5 * 2 ** 20;
/** Files that were put aside: `.1` is the newest, the oldest is dropped. */
const KEPT_FILES = 3;
const LINE_CHARACTERS = 4000;
const GRAVITY: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** The log's files, newest first, whether or not they are there. */
export function logFiles(path: string): string[] {
  return [path, ...Array.from({ length: KEPT_FILES }, (_, at) => `${path}.${at + 1}`)];
}

/**
 * Opens the log of a data folder: JSON lines, readable for the user alone, bounded. A log that can't be written, on a full disk say, must
 * not stop the work that it is about: the line goes to `fallback` then.
 */
export function openLog(path: string, clock: () => number, fallback: (line: string) => void): Log {
  let bytes: number | undefined;
  let least: Level = 'info';
  const log: Log = (level, event, facts = {}) => {
    if (GRAVITY[level] < GRAVITY[least]) return;
    const line = `${lineOf({ at: new Date(clock()).toISOString(), level, event, ...facts })}\n`;
    try {
      bytes ??= statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (bytes + line.length > MAX_BYTES && bytes > 0) {
        putAside(path);
        bytes = 0;
      }
      appendFileSync(path, line, { mode: 0o600 });
      bytes += Buffer.byteLength(line);
    } catch (error) {
      fallback(`${line.trimEnd()} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
    }
  };
  log.setLevel = (level) => {
    least = level;
  };
  return log;
}

/** A line stays JSON however much it was to hold: what is too long is cut within its own value. */
function lineOf(facts: Record<string, unknown>): string {
  const whole = JSON.stringify(facts);
  if (whole.length <= LINE_CHARACTERS) return whole;
  const { at, level, event } = facts;
  return JSON.stringify({ at, level, event, cut: whole.slice(0, LINE_CHARACTERS / 2) });
}

function putAside(path: string): void {
  const files = logFiles(path);
  for (let at = files.length - 1; at > 0; at -= 1) {
    try {
      renameSync(files[at - 1] as string, files[at] as string);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
