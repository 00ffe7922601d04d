import { type BreakOutResult, BreakOutTask } from '../../core/contract/break-out.ts';
import { attempt } from './break-out/attempt.ts';
import { callWays } from './break-out/calls.ts';
import { networkWays } from './break-out/network.ts';
import { privilegeWays } from './break-out/privilege.ts';
import { processWays } from './break-out/process.ts';
import { readingWays, secretWays } from './break-out/reading.ts';
import { writingWays } from './break-out/writing.ts';

// Started in the identical sandbox as a worker, but without Node's permission model, so that it is the operating system that says no.
// One line of JSON comes in, one goes out. Exit code 0 says that everything was tried, not that everything held.

const TASK_BYTES = 1 << 20;

async function readTask(): Promise<BreakOutTask> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > TASK_BYTES) throw new Error('the task is too long');
    chunks.push(chunk);
  }
  return BreakOutTask.parse(JSON.parse(Buffer.concat(chunks).toString('utf8')));
}

const task = await readTask();
const result: BreakOutResult = { attempts: [] };
// One after another: what one of them makes must not be what another finds. Becoming somebody else comes last.
for (const way of [...secretWays(task), ...readingWays, ...writingWays, ...networkWays, ...processWays, ...callWays, ...privilegeWays]) {
  result.attempts.push(await attempt(way, task));
}
process.stdout.write(`${JSON.stringify(result)}\n`);
