import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Measure, measure, median } from './measure.ts';

export interface ProgramBench {
  /** How this program is started: its command line without a command. */
  command: readonly [string, ...string[]];
  /** Makes a new folder for one run. */
  newDataDir(): string;
  /** Usage of a process and those below it; null where the system doesn't tell. */
  usage(pid: number): { residentBytes: number; cpuMs: number } | null;
}

const SETTLE_MS = 3000;
const PAUSE_WAIT_MS = 30_000;
const MB = 1e6;

/** The program from outside: its start, and what it takes while it is paused. */
export async function* measureProgram(bench: ProgramBench, quick: boolean): AsyncGenerator<Measure> {
  const starts: number[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round += 1) {
    const from = performance.now();
    const agent = start(bench, bench.newDataDir(), ['--shards', '1']);
    await eventOf(agent, 'accepted');
    starts.push(performance.now() - from);
    await ended(agent);
  }
  yield measure('start of the program to its first accepted shard: median', median(starts), 'ms');
  yield* measurePaused(bench, quick);
}

async function* measurePaused(bench: ProgramBench, quick: boolean): AsyncGenerator<Measure> {
  const dataDir = bench.newDataDir();
  const agent = start(bench, dataDir, []);
  try {
    await eventOf(agent, 'accepted');
    const [program, ...args] = bench.command;
    const pausing = spawn(program, [...args, 'pause', '--data-dir', dataDir], { stdio: 'ignore' });
    const [code] = (await once(pausing, 'exit', { signal: AbortSignal.timeout(PAUSE_WAIT_MS) })) as [number];
    if (code !== 0) throw new Error(`pausing the agent ended with ${code}`);
    await wait(SETTLE_MS);
    const seconds = quick ? 10 : 60;
    const before = bench.usage(agent.pid ?? 0);
    await wait(seconds * 1000);
    const after = bench.usage(agent.pid ?? 0);
    // Only Linux tells without a program that would itself be measured.
    if (before === null || after === null) return;
    yield measure(
      `a paused agent's processor time over ${seconds} s`,
      ((after.cpuMs - before.cpuMs) / (seconds * 1000)) * 100,
      '% of a core',
    );
    yield measure("a paused agent's resident memory", after.residentBytes / MB, 'MB');
    const share = proportionalBytes(agent.pid ?? 0);
    if (share !== null) yield measure("a paused agent's memory, of what it shares with others its part", share / MB, 'MB');
  } finally {
    agent.kill('SIGTERM');
    await ended(agent);
  }
}

/** Linux's PSS: the program's own file is mapped by every process of it, the workers among them. Null where it isn't told. */
function proportionalBytes(pid: number): number | null {
  try {
    const kB = /^Pss:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
    return kB === undefined ? null : Number(kB) * 1024;
  } catch {
    return null;
  }
}

function start({ command: [program, ...args] }: ProgramBench, dataDir: string, more: string[]): ChildProcess {
  return spawn(program, [...args, 'start', '--headless', '--network', 'local', '--json', '--data-dir', dataDir, ...more], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** Resolves with the first event of this name. The rest of the output is read and dropped. */
async function eventOf(agent: ChildProcess, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  createInterface({ input: agent.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if ((JSON.parse(line) as { event?: string }).event === name) resolve();
  });
  agent.once('exit', (code) => reject(new Error(`the agent ended with ${code} before it told of "${name}"`)));
  await promise;
}

async function ended(agent: ChildProcess): Promise<void> {
  if (agent.exitCode === null && agent.signalCode === null) await once(agent, 'exit');
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
