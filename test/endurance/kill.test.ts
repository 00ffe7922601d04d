import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Agent, readBooks, verifyBooks } from './agent.ts';

const KILLS = Number(process.env.HEARTHLEND_KILLS ?? 50);
/** Kills fall within this time after the agent has started to work: shards of practice take some tens of ms, so all of a shard's life is hit. */
const KILL_WITHIN_MS = 400;
/** A start of the agent takes longer than all else here. */
const WORKER_KILLS_A_START = 4;

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
      // Kills of workers, which the agent must survive, then the agent itself.
      for (let each = 0; each <= WORKER_KILLS_A_START && kills.agent + kills.worker < KILLS; each += 1) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_WITHIN_MS));
        const workers = agent.descendants();
        const victim = workers[Math.floor(Math.random() * workers.length)];
        if (each < WORKER_KILLS_A_START && victim !== undefined) {
          const before = agent.count('accepted');
          try {
            process.kill(victim, 'SIGKILL');
          } catch {
            continue; // It ended by itself.
          }
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

    expect(await verifyBooks(dataDir)).toMatchObject({ code: 0, result: { ok: true, problems: [] } });
    expect(readdirSync(join(dataDir, 'spool'))).toEqual([]);
  });
});
