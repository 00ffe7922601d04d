import { execFile, spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { z } from 'zod';
import { asHearthlendError } from '../contract/errors.ts';
import { GpuId } from '../contract/hardware.ts';
import { ref } from '../contract/messages.ts';
import type { PowerLimitState, SignalContext } from '../contract/policy.ts';
import { storageError } from '../contract/storage-error.ts';

const ANSWER_MS = 10_000;
/** At the end of the process there is no more time. */
const LAST_MS = 3000;
/** Limits are told with two decimals. */
const SAME_WATTS = 1;

/** What was changed, and what it was before. */
const Entry = z.strictObject({ gpu: GpuId, beforeWatts: z.number().positive(), setWatts: z.number().positive() });
type Entry = z.infer<typeof Entry>;

/** Sets the power limit of GPUs in their driver, and puts it back: when it is no longer wanted, at the end, and after a crash at the next start. */
export interface PowerLimits {
  /** What is to hold from now on, by GPU; what was limited and isn't in here goes back to what it was. */
  want(limits: ReadonlyMap<GpuId, number>): void;
  state(): PowerLimitState[];
  /** Resolves when what was wanted last is so, as far as it can be. */
  settled(): Promise<void>;
  /** Puts everything back. */
  close(): Promise<void>;
}

interface PowerLimitOptions {
  /** NVIDIA's own: the one way to set a limit that needs no library in the driver. It mostly asks for an administrator. Null: there is none. */
  tool: string | null;
  /** File that holds what was changed, for the next start. */
  recordPath: string;
  log: SignalContext['log'];
}

export function openPowerLimits({ tool, recordPath, log }: PowerLimitOptions): PowerLimits {
  let entries = readEntries(recordPath, log);
  const refused = new Map<GpuId, PowerLimitState>();
  let wanted: ReadonlyMap<GpuId, number> = new Map();
  let done: Promise<void> = Promise.resolve();

  function keep(next: Entry[]): void {
    writeEntries(recordPath, next);
    entries = next;
    process.off('exit', putBackNow);
    if (entries.length > 0) process.once('exit', putBackNow);
  }

  /** The last that a process can do, however it ends but for a kill. */
  function putBackNow(): void {
    const left = entries.filter(({ gpu, beforeWatts }) => {
      const { status } = spawnSync(tool ?? '', limitArgs(gpu, beforeWatts), { timeout: LAST_MS, windowsHide: true, stdio: 'ignore' });
      return status !== 0;
    });
    // What could not be put back is tried at the next start.
    if (left.length < entries.length) writeEntries(recordPath, left);
  }

  async function run(args: string[]): Promise<string> {
    if (tool === null) throw new Error('there is no nvidia-smi');
    const { stdout } = await promisify(execFile)(tool, args, { timeout: ANSWER_MS, windowsHide: true, maxBuffer: 1 << 20 });
    return stdout;
  }

  /** The limit that holds, and between what it can be set, in W. */
  async function readLimit(gpu: GpuId): Promise<{ watts: number; leastWatts: number; mostWatts: number }> {
    const fields = 'power.limit,power.min_limit,power.max_limit';
    const line = await run(['-i', gpu, `--query-gpu=${fields}`, '--format=csv,noheader,nounits']);
    const [watts = Number.NaN, leastWatts = Number.NaN, mostWatts = Number.NaN] = line.trim().split(',').map(Number);
    if (!(watts > 0 && leastWatts > 0 && mostWatts >= leastWatts)) throw new Error(`it has no power limit to set: ${line.trim()}`);
    return { watts, leastWatts, mostWatts };
  }

  async function limit(gpu: GpuId, watts: number): Promise<void> {
    const before = entries.find((entry) => entry.gpu === gpu);
    const found = await readLimit(gpu);
    const setWatts = Math.min(found.mostWatts, Math.max(found.leastWatts, watts));
    if (before?.setWatts === setWatts) return;
    const beforeWatts = before?.beforeWatts ?? found.watts;
    // One that is lower already is somebody's will too.
    if (before === undefined && found.watts <= setWatts + SAME_WATTS) return;
    const others = entries.filter((entry) => entry.gpu !== gpu);
    // Before it is so: whatever ends this process in between, the next start knows what was.
    keep([...others, { gpu, beforeWatts, setWatts }]);
    try {
      await run(limitArgs(gpu, setWatts));
      log('info', 'power limit set', { gpu, setWatts, beforeWatts });
    } catch (thrown) {
      keep(before === undefined ? others : [...others, before]);
      throw thrown;
    }
  }

  async function putBack({ gpu, beforeWatts, setWatts }: Entry): Promise<void> {
    const { watts } = await readLimit(gpu);
    // Somebody changed it meanwhile: theirs counts.
    if (Math.abs(watts - setWatts) <= SAME_WATTS) await run(limitArgs(gpu, beforeWatts));
    keep(entries.filter((entry) => entry.gpu !== gpu));
    log('info', 'power limit put back', { gpu, beforeWatts });
  }

  async function settle(): Promise<void> {
    const limits = wanted;
    refused.clear();
    for (const entry of entries) if (!limits.has(entry.gpu)) await tried(entry.gpu, entry.beforeWatts, () => putBack(entry));
    for (const [gpu, watts] of limits) await tried(gpu, watts, () => limit(gpu, watts));
  }

  async function tried(gpu: GpuId, watts: number, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (thrown) {
      const detail = saidBy(thrown);
      log('warn', 'the power limit could not be set', { gpu, watts, detail });
      refused.set(gpu, { gpu, watts: null, beforeWatts: null, problem: ref('policy.power-limit.refused', { watts, detail }) });
    }
  }

  function soon(): Promise<void> {
    done = done.then(settle);
    return done;
  }

  // What a crash left behind.
  if (entries.length > 0) void soon();

  return {
    want(limits) {
      if (sameLimits(limits, wanted)) return;
      wanted = limits;
      void soon();
    },
    state: () => [
      ...entries.map(({ gpu, setWatts, beforeWatts }) => ({ gpu, watts: setWatts, beforeWatts, problem: null })),
      ...refused.values(),
    ],
    settled: () => done,
    close() {
      wanted = new Map();
      return soon();
    },
  };
}

const limitArgs = (gpu: GpuId, watts: number) => ['-i', gpu, '-pl', String(Math.round(watts))];

/** What the tool said, on one line. */
function saidBy(thrown: unknown): string {
  const { stdout = '', stderr = '', message } = thrown as { stdout?: string; stderr?: string; message: string };
  return `${stdout} ${stderr}`.trim().replaceAll(/\s+/g, ' ').slice(0, 200) || message.slice(0, 200);
}

function sameLimits(a: ReadonlyMap<GpuId, number>, b: ReadonlyMap<GpuId, number>): boolean {
  return a.size === b.size && [...a].every(([gpu, watts]) => b.get(gpu) === watts);
}

function readEntries(path: string, log: SignalContext['log']): Entry[] {
  try {
    return z
      .array(Entry)
      .max(128)
      .parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') {
      log('error', 'what power limits were before could not be read', { path, detail: asHearthlendError(thrown).message.slice(0, 300) });
    }
    return [];
  }
}

/** Whole and durable, or as it was. @throws DISK_FULL, DATA_DIR_UNWRITABLE: then nothing is changed either */
function writeEntries(path: string, entries: readonly Entry[]): void {
  try {
    if (entries.length === 0) {
      rmSync(path, { force: true });
      return;
    }
    const file = openSync(`${path}.partial`, 'w', 0o600);
    try {
      writeFileSync(file, JSON.stringify(entries));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.partial`, path);
  } catch (thrown) {
    throw storageError(path, thrown);
  }
}
