import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const KILLS = Number(process.env.HEARTHLEND_KILLS ?? 50);
/** Kills fall within this time after the agent has started to work: shards of practice take some tens of ms, so all of a shard's life is hit. */
const KILL_WITHIN_MS = 700;
const root = join(import.meta.dirname, '../..');
const cli = join(root, 'dist/cli/main.mjs');

interface Line {
  event: string;
  [field: string]: unknown;
}

/** An agent in a process of its own, and what it says. */
class Agent {
  readonly process: ChildProcess;
  readonly lines: Line[] = [];
  readonly exited: Promise<unknown>;
  #announce: () => void = () => undefined;
  #stderr = '';

  constructor(dataDir: string, shards: number) {
    const args = [cli, 'start', '--headless', '--network', 'local', '--shards', String(shards), '--json', '--data-dir', dataDir];
    this.process = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = once(this.process, 'close');
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
        throw new Error(`the agent ended before "${event}": ${JSON.stringify(this.lines.slice(-3))} ${this.#stderr}`);
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

/** What the network and the ledger each have on record, read from their files. */
function readBooks(dataDir: string) {
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

describe.skipIf(!existsSync('/proc/self/stat'))('an agent that is killed at random', () => {
  let dataDir = '';
  beforeAll(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'hearthlend-kill-'));
  });
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

  it(`loses nothing that was accepted and counts nothing twice, ${KILLS} times kill -9 of agent or worker`, {
    timeout: 300_000,
  }, async () => {
    let acceptedSeen = 0;
    let kills = { agent: 0, worker: 0 };
    while (kills.agent + kills.worker < KILLS) {
      const agent = new Agent(dataDir, 100_000);
      await agent.until('started');
      // Two kills of workers, which the agent must survive, then the agent itself.
      for (let each = 0; each < 3 && kills.agent + kills.worker < KILLS; each += 1) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_WITHIN_MS));
        const workers = agent.descendants();
        const victim = workers[Math.floor(Math.random() * workers.length)];
        if (each < 2 && victim !== undefined) {
          const before = agent.count('accepted');
          process.kill(victim, 'SIGKILL');
          kills = { ...kills, worker: kills.worker + 1 };
          await agent.until('accepted', before + 1);
        } else {
          agent.process.kill('SIGKILL');
          kills = { ...kills, agent: kills.agent + 1 };
          break;
        }
      }
      agent.process.kill('SIGKILL');
      await agent.exited;
      acceptedSeen += agent.count('accepted');
      const { recorded } = readBooks(dataDir);
      // What was told as accepted is on record: nothing accepted is lost.
      expect(recorded.length).toBeGreaterThanOrEqual(acceptedSeen);
      acceptedSeen = recorded.length;
    }
    expect(kills.agent).toBeGreaterThan(0);

    const last = new Agent(dataDir, 3);
    await last.exited;
    expect(last.lines.at(-1)).toMatchObject({ event: 'summary', accepted: 3 });

    const { recorded, given } = readBooks(dataDir);
    expect(recorded.map(({ sequence }) => sequence)).toEqual(recorded.map((_, index) => index + 1));
    expect(new Set(recorded.map(({ shardId }) => shardId)).size).toBe(recorded.length);
    expect(recorded.length).toBe(given);

    const verify = spawn(process.execPath, [cli, 'ledger', 'verify', '--json', '--data-dir', dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    verify.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const [code] = (await once(verify, 'close')) as [number];
    expect({ code, result: JSON.parse(out.trim().split('\n').at(-1) ?? '{}') as unknown }).toMatchObject({
      code: 0,
      result: { ok: true, problems: [] },
    });
    expect(readdirSync(join(dataDir, 'spool'))).toEqual([]);
  });
});
