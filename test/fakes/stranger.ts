import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A program of somebody else's: not below this process, so that nobody takes it for ours. */
export interface Stranger {
  pid: number;
  end(): void;
}

const sleep = spawnSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).stdout.trim();

/** The file of a real program that sleeps, under another name. */
export function programNamed(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-stranger-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  copyFileSync(sleep, join(folder, name));
  return join(folder, name);
}

/** Runs a shell's line behind our back. */
export function startStranger(line: string): Stranger {
  // The shell in between ends at once, and whoever takes in orphans is no child of ours.
  const script = `(${line}) </dev/null >/dev/null 2>&1 & echo $!`;
  const pid = Number(execFileSync('setsid', ['bash', '-c', script], { encoding: 'utf8' }).trim());
  const end = (): void => {
    try {
      process.kill(-groupOf(pid), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  onTestFinished(end);
  return { pid, end };
}

function groupOf(pid: number): number {
  const group = Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).trim());
  if (!(group > 1)) throw new Error(`no process group of ${pid}`);
  return group;
}
