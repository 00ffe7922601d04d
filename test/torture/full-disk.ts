import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, readBooks, verifyBooks } from '../endurance/agent.ts';
import { checks, type Finding } from './finding.ts';

const DISK_MB = 32;

/** A small disk that fills while the agent works, and has room again: work waits, and nothing is lost. */
export async function tortureByFullDisk(dir: string, rounds: number): Promise<Finding> {
  const disk = join(dir, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', disk]).status === 0;
  if (!mounted) return { did: 'NOT DONE: filling a small disk needs root on Linux, to mount one', wrong: [] };
  const { wrong, expect } = checks();
  const dataDir = join(disk, 'data');
  try {
    const agent = new Agent(dataDir, 1_000_000);
    await agent.until('accepted', 5);
    for (let round = 0; round < rounds; round += 1) {
      fill(join(disk, 'filler'));
      // What it said before is still on its way here.
      const name = () => agent.lines.filter((line) => line.event === 'state').at(-1)?.name;
      for (let more = 0; more < 3 && name() !== 'waiting'; more += 1) await agent.until('state', agent.count('state') + 1);
      expect(name() === 'waiting', `with a full disk the agent is ${String(name())}`);
      rmSync(join(disk, 'filler'));
      await agent.until('accepted', agent.count('accepted') + 3);
    }
    agent.process.kill('SIGTERM');
    await agent.exited;
    const { recorded, given } = readBooks(dataDir);
    expect(recorded.length === given, `${given} receipts were given, ${recorded.length} are on record`);
    expect(new Set(recorded.map(({ shardId }) => shardId)).size === recorded.length, 'a shard was counted twice');
    const verified = await verifyBooks(dataDir);
    expect(verified.code === 0 && verified.result.ok === true, `the ledger is broken: ${JSON.stringify(verified.result)}`);
    return {
      did: `a disk of ${DISK_MB} MB filled and emptied ${rounds} times under a working agent; ${recorded.length} shards accepted`,
      wrong,
    };
  } finally {
    spawnSync('umount', ['-l', disk]);
  }
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let bytes = 1 << 20; bytes >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch {
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
}
