import { appendFileSync, renameSync, statSync } from 'node:fs';

/** One structured log line: what happened, with its facts. Never a key, a payload or a prompt. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, facts?: Record<string, unknown>) => void;

/** A log file is put aside at this size; the one put aside before is dropped. */
const MAX_BYTES = 5 * 2 ** 20;
const LINE_CHARACTERS = 4000;

/**
 * Opens the log of a data folder: JSON lines, readable for the user alone, bounded. A log that can't be written, on a full disk say, must
 * not stop the work that it is about: the line goes to `fallback` then.
 */
export function openLog(path: string, clock: () => number, fallback: (line: string) => void): Log {
  let bytes = 0;
  try {
    bytes = statSync(path).size;
  } catch {
    // Not there yet: the first line makes it.
  }
  return (level, event, facts = {}) => {
    const line = `${JSON.stringify({ at: new Date(clock()).toISOString(), level, event, ...facts }).slice(0, LINE_CHARACTERS)}\n`;
    try {
      if (bytes + line.length > MAX_BYTES) {
        renameSync(path, `${path}.1`);
        bytes = 0;
      }
      appendFileSync(path, line, { mode: 0o600 });
      bytes += line.length;
    } catch (error) {
      fallback(`${line.trimEnd()} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
    }
  };
}
