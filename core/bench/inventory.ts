import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Measure, measure, median } from './measure.ts';

export interface InventoryBench {
  /** Takes stock of this machine; the programs that it asks are found on this PATH. */
  read(path: string): Promise<unknown>;
  /** The PATH as it is, and a folder that may be filled. */
  path: string;
  dir: string;
}

/** What the inventory may take, whatever the programs that it asks do. */
const MOST = { name: 'the most that it may take', value: 3000 };
const TOOLS = ['nvidia-smi', 'vulkaninfo', 'lspci', 'rocm-smi', 'amd-smi'];

/** The inventory's time, as the machine is and where every program that it asks hangs. */
export async function* measureInventory({ read, path, dir }: InventoryBench, quick: boolean): AsyncGenerator<Measure> {
  const times: number[] = [];
  for (let round = 0; round < (quick ? 3 : 10); round += 1) times.push(await timed(() => read(path)));
  yield against('inventory of this machine: median', median(times));
  // A script that hangs is one of a POSIX shell's; macOS and Windows find their tools by more than the PATH.
  if (process.platform !== 'linux') return;
  const stuck = join(dir, 'stuck-tools');
  mkdirSync(stuck);
  for (const tool of TOOLS) writeFileSync(join(stuck, tool), '#!/bin/sh\nPATH=$PATH:/bin:/usr/bin\nsleep 600\n', { mode: 0o755 });
  yield against('inventory where every program that it asks hangs', await timed(() => read(stuck)));
}

function against(name: string, ms: number): Measure {
  return measure(name, ms, 'ms', { baseline: MOST, ratio: ms / MOST.value });
}

async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return performance.now() - from;
}
