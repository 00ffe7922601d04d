import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type Measure, measure, median, quantile } from './measure.ts';

export interface WatchingBench {
  /** A folder to work in. */
  dir: string;
  /**
   * Starts everything that watches the machine for the rules, with these programs on the list besides the maintained one, and the deciding.
   * Calls back at every change with the names of listed programs that run.
   */
  start(listed: readonly string[], onPrograms: (names: readonly string[]) => void): { stop(): Promise<void> };
  /** Processor time of a process and those below it so far (ms); null where the system doesn't tell. */
  usage(pid: number): { cpuMs: number } | null;
}

const CROWD = 500;
const LISTED = 5000;
/** First looks at everything are over by then. */
const SETTLE_MS = 5000;
const SEEN_MS = 10_000;

/**
 * What watching costs with 500 more processes on the machine and 5,000 programs on the list, and how soon a listed program is seen. On Linux,
 * where others' processes can be started that aren't ours.
 */
export async function* measureWatching({ dir, start, usage }: WatchingBench, quick: boolean): AsyncGenerator<Measure> {
  const sleep = process.platform === 'linux' ? findSleep() : null;
  if (sleep === null || usage(process.pid) === null) return;
  const game = join(dir, 'hearthlend-bench-game');
  copyFileSync(sleep, game);
  const crowd = await startCrowd(sleep);
  let heard: (names: readonly string[]) => void = () => undefined;
  const listed = [...Array.from({ length: LISTED - 1 }, (_, at) => `program-that-is-not-there-${at}`), 'hearthlend-bench-game'];
  const watching = start(listed, (names) => heard(names));
  try {
    await wait(SETTLE_MS);
    const seconds = quick ? 10 : 60;
    const before = usage(process.pid)?.cpuMs ?? Number.NaN;
    await wait(seconds * 1000);
    const cpuMs = (usage(process.pid)?.cpuMs ?? Number.NaN) - before;
    const name = `watching the machine, ${CROWD} more processes and ${LISTED} listed programs, over ${seconds} s`;
    yield measure(name, (cpuMs / (seconds * 1000)) * 100, '% of a core');
    const seen: number[] = [];
    for (let trial = 0; trial < (quick ? 5 : 50); trial += 1) {
      const told = (running: boolean) =>
        new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error('the started program was not seen')), SEEN_MS);
          heard = (names) => {
            if (names.includes('hearthlend-bench-game') !== running) return;
            clearTimeout(timer);
            resolve();
          };
        });
      const appears = told(true);
      const from = performance.now();
      const pid = startOrphan(game);
      await appears;
      seen.push(performance.now() - from);
      const vanishes = told(false);
      process.kill(pid, 'SIGKILL');
      await vanishes;
    }
    yield measure('from the start of a listed program until it is seen: median', median(seen), 'ms');
    yield measure('from the start of a listed program until it is seen: p99', quantile(seen, 0.99), 'ms');
  } finally {
    await watching.stop();
    process.kill(-crowd, 'SIGKILL');
  }
}

function findSleep(): string | null {
  try {
    return execFileSync('/bin/sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}

/** Processes that sleep, left behind by a shell that ends, so that they aren't ours. Returns their group. */
async function startCrowd(sleep: string): Promise<number> {
  const script = `i=0; while [ $i -lt ${CROWD} ]; do "$0" 600 & i=$((i+1)); done`;
  const shell = spawn('/bin/sh', ['-c', script, sleep], { stdio: 'ignore', detached: true });
  await once(shell, 'exit');
  return shell.pid as number;
}

function startOrphan(program: string): number {
  return Number(execFileSync('/bin/sh', ['-c', '"$0" 60 >/dev/null 2>&1 & echo $!', program], { encoding: 'utf8' }).trim());
}
