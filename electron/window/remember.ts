import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../core/log/log.ts';
import { Remembered } from './bounds.ts';

export interface Memory {
  readonly current: Remembered;
  change(fields: Partial<Remembered>): void;
}

/**
 * What the shell remembers, in a file of the data folder. It is a convenience: a file that can't be read counts as none, one that can't be
 * written is forgotten at the end; the log says so either way.
 */
export function openMemory(dataDir: string, log: Log): Memory {
  const path = join(dataDir, 'desktop.json');
  let current = Remembered.parse({});
  try {
    current = Remembered.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log('warn', 'what the window remembers is unreadable', { error: String(error) });
  }
  return {
    get current() {
      return current;
    },
    change(fields) {
      current = { ...current, ...fields };
      try {
        writeFileSync(`${path}.partial`, `${JSON.stringify(current)}\n`, { mode: 0o600 });
        renameSync(`${path}.partial`, path);
      } catch (error) {
        log('warn', 'what the window remembers was not written', { error: String(error) });
      }
    },
  };
}
