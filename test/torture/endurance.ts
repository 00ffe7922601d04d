import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, verifyBooks } from '../endurance/agent.ts';
import { checks, type Finding } from './finding.ts';

interface Sample {
  shards: number;
  residentMB: number;
  handles: number;
  /** All but the two databases, which are to grow: a line for each thing that happened. */
  otherBytes: number;
  bookBytes: number;
}

const SAMPLES = 20;
/** A heap breathes: this much more than in the middle of the run is no leak yet. */
const MORE_MB = 40;
const MORE_HANDLES = 4;
const MORE_BYTES = 2 ** 20;
/** Practice by default takes some 300 ms a shard on one core of an office machine, pauses between included. */
const SHARDS_IN_TWO_HOURS = 24_000;

/** As many shards as two hours bring, one right after the other: memory, handles and disk stay flat but for the books. */
export async function tortureByEndurance(dataDir: string, scale: number): Promise<Finding> {
  const { wrong, expect } = checks();
  const shards = Math.max(200, Math.round(SHARDS_IN_TWO_HOURS * scale));
  const startedAt = performance.now();
  const agent = new Agent(dataDir, shards);
  const samples: Sample[] = [];
  for (let sample = 1; sample < SAMPLES; sample += 1) {
    await agent.until('accepted', Math.floor((shards * sample) / SAMPLES));
    samples.push(take(agent, dataDir));
  }
  await agent.exited;
  expect(agent.lines.at(-1)?.accepted === shards, `it ended with ${JSON.stringify(agent.lines.at(-1))}`);
  const middle = samples[Math.floor(SAMPLES / 2)] as Sample;
  const end = samples.at(-1) as Sample;
  expect(end.residentMB - middle.residentMB < MORE_MB, `memory grew from ${middle.residentMB} to ${end.residentMB} MB`);
  expect(end.handles - middle.handles <= MORE_HANDLES, `handles grew from ${middle.handles} to ${end.handles}`);
  expect(
    end.otherBytes - middle.otherBytes < MORE_BYTES,
    `disk beside the books grew from ${middle.otherBytes} to ${end.otherBytes} bytes`,
  );
  const verified = await verifyBooks(dataDir);
  expect(verified.code === 0 && verified.result.ok === true, 'the ledger is broken');
  const perShard = Math.round((end.bookBytes - middle.bookBytes) / Math.max(1, end.shards - middle.shards));
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
  const part = `${Math.round((100 * shards) / SHARDS_IN_TWO_HOURS)}% of what two hours bring`;
  return {
    did: `${shards} shards (${part}) in ${minutes} min: memory ${middle.residentMB} → ${end.residentMB} MB, handles ${middle.handles} → ${end.handles}, disk beside the books ${middle.otherBytes} → ${end.otherBytes} bytes, books ${perShard} bytes a shard`,
    wrong,
  };
}

function take(agent: Agent, dataDir: string): Sample {
  const pid = agent.process.pid ?? 0;
  const resident = Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  let [otherBytes, bookBytes] = [0, 0];
  for (const { parentPath, name } of files) {
    const bytes = statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0;
    // The log is bounded by itself, and tested so.
    if (/\.db(-wal|-shm)?$/.test(name)) bookBytes += bytes;
    else if (!name.startsWith('agent.log')) otherBytes += bytes;
  }
  return {
    shards: agent.count('accepted'),
    residentMB: Math.round(resident / 1024),
    handles: readdirSync(`/proc/${pid}/fd`).length,
    otherBytes,
    bookBytes,
  };
}
