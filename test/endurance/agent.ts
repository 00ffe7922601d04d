import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';

const cli = join(import.meta.dirname, '../../dist/cli/main.mjs');

interface Line {
  event: string;
  [field: string]: unknown;
}

/** A command line of the real program in a process of its own, and the JSON lines that it says. */
export class Program {
  readonly process: ChildProcess;
  readonly lines: Line[] = [];
  readonly exited: Promise<unknown>;
  #announce: () => void = () => undefined;
  #stderr = '';

  /** @param wrapper starts it: a namespace and the like */
  constructor(dataDir: string, argv: readonly string[], wrapper: readonly string[] = []) {
    const [command = process.execPath, ...args] = [...wrapper, process.execPath, cli, ...argv, '--json', '--data-dir', dataDir];
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = once(this.process, 'close').finally(() => this.#announce());
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    createInterface({ input: this.process.stdout as NodeJS.ReadableStream })
      .on('line', (line) => {
        this.lines.push(JSON.parse(line) as Line);
        this.#announce();
      })
      .on('close', () => this.#announce());
  }

  /** Waits until `count` lines of this event came. */
  async until(event: string, count = 1): Promise<void> {
    while (this.lines.filter((line) => line.event === event).length < count) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`it ended before "${event}": ${JSON.stringify(this.lines.slice(-3))} ${this.#stderr}`);
      }
      await new Promise<void>((resolve) => {
        this.#announce = resolve;
      });
    }
  }

  count(event: string): number {
    return this.lines.filter((line) => line.event === event).length;
  }

  /** Processes below the agent: the workers, and what holds them. */
  descendants(): number[] {
    const parents = new Map<number, number>();
    for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      } catch {
        // It ended while we looked.
      }
    }
    const isBelow = (pid: number): boolean => {
      const parent = parents.get(pid);
      return parent !== undefined && parent > 1 && (parent === this.process.pid || isBelow(parent));
    };
    return [...parents.keys()].filter(isBelow);
  }
}

/** An agent that practises until so many shards are accepted. */
export class Agent extends Program {
  constructor(dataDir: string, shards: number) {
    super(dataDir, ['start', '--headless', '--network', 'local', '--shards', String(shards)]);
  }
}

/** What the network and the ledger each have on record, read from their files. */
export function readBooks(dataDir: string) {
  const ledger = new Database(join(dataDir, 'ledger.db'), { readonly: true });
  const coordinator = new Database(join(dataDir, 'coordinator/coordinator.db'), { readonly: true });
  try {
    const entries = ledger.prepare("SELECT body FROM entries WHERE kind = 'receipt' ORDER BY sequence").pluck().all() as string[];
    const recorded = entries.map((body) => JSON.parse(String(body)) as { shardId: string; attempt: number; sequence: number });
    const given = coordinator.prepare('SELECT COUNT(*) FROM receipts').pluck().get() as number;
    return { recorded, given };
  } finally {
    ledger.close();
    coordinator.close();
  }
}

/** What the program itself says of the ledger. */
export async function verifyBooks(
  dataDir: string,
): Promise<{ code: number; result: { ok?: boolean; entries?: number; problems?: unknown[] } }> {
  const verify = spawn(process.execPath, [cli, 'ledger', 'verify', '--json', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  verify.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  const [code] = (await once(verify, 'close')) as [number];
  return { code, result: JSON.parse(out.trim().split('\n').at(-1) ?? '{}') };
}
