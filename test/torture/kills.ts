import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, readBooks, verifyBooks } from '../endurance/agent.ts';
import { checks, type Finding } from './finding.ts';

/** From this moment's start on, any instant of a shard's life is as likely. */
const KILL_WITHIN_MS = 400;
const WORKER_KILLS_A_START = 4;

/** kill -9 of agent and worker at random instants; nothing accepted may be lost or counted twice. */
export async function tortureByKills(dataDir: string, kills: number): Promise<Finding> {
  const { wrong, expect } = checks();
  const done = { agent: 0, worker: 0 };
  let seen = 0;
  while (done.agent + done.worker < kills) {
    const agent = new Agent(dataDir, 1_000_000);
    await agent.until('started');
    for (let each = 0; each < WORKER_KILLS_A_START && done.agent + done.worker < kills - 1; each += 1) {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_WITHIN_MS));
      const workers = agent.descendants();
      const victim = workers[Math.floor(Math.random() * workers.length)];
      if (victim === undefined) break;
      const before = agent.count('accepted');
      try {
        process.kill(victim, 'SIGKILL');
      } catch {
        continue; // it ended by itself
      }
      done.worker += 1;
      await agent.until('accepted', before + 1);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * KILL_WITHIN_MS));
    agent.process.kill('SIGKILL');
    done.agent += 1;
    await agent.exited;
    seen += agent.count('accepted');
    const { recorded } = readBooks(dataDir);
    expect(recorded.length >= seen, `after kill ${done.agent}: ${seen} were told as accepted, ${recorded.length} are on record`);
    seen = recorded.length;
  }
  const last = new Agent(dataDir, 3);
  await last.exited;
  expect(last.lines.at(-1)?.event === 'summary', 'the start after the last kill did not end by itself');
  const { recorded, given } = readBooks(dataDir);
  expect(
    recorded.every(({ sequence }, at) => sequence === at + 1),
    'receipts are not numbered without gaps',
  );
  expect(new Set(recorded.map(({ shardId }) => shardId)).size === recorded.length, 'a shard was counted twice');
  expect(recorded.length === given, `${given} receipts were given, ${recorded.length} are on record`);
  const verified = await verifyBooks(dataDir);
  expect(verified.code === 0 && verified.result.ok === true, `the ledger is broken: ${JSON.stringify(verified.result.problems?.[0])}`);
  expect(readdirSync(join(dataDir, 'spool')).length === 0, 'results are left in the spool');
  return { did: `${done.agent} kills of the agent and ${done.worker} of workers; ${recorded.length} shards accepted`, wrong };
}
