import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import type { Tensor } from '../../core/contract/tensor.ts';
import { readNpz, writeNpz } from '../../core/jobs/npz.ts';
import { temporaryFolder } from './console.ts';

// The program as it is installed, with the real agent: worker, ledger, coordinator and practice model.
const root = join(import.meta.dirname, '../..');
const launcher = join(root, 'cli/hearthlend.mjs');
const model = join(root, 'resources/models/wordnet-lm/onnx/model.onnx');

type Line = Record<string, unknown>;

interface Run {
  pid: number;
  lines: Line[];
  /** Resolves with the first line of this event, once it is there. */
  seen(event: string): Promise<Line>;
  signal(signal: NodeJS.Signals): void;
  ended: Promise<number | null>;
}

function hearthlend(dataDir: string, ...argv: string[]): Run {
  const child = spawn(process.execPath, [launcher, ...argv, '--json', '--data-dir', dataDir], {
    cwd: dataDir,
    env: { PATH: process.env.PATH ?? '', HOME: dataDir },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: Line[] = [];
  const waiting = new Set<(line: Line) => void>();
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    for (const look of waiting) look(line);
  });
  return {
    pid: child.pid ?? 0,
    lines,
    seen: (event) =>
      new Promise((resolve) => {
        const look = (line: Line) => {
          if (line.event === event) resolve(line);
        };
        waiting.add(look);
        lines.forEach(look);
      }),
    signal: (signal) => void child.kill(signal),
    ended: once(child, 'close').then(([code]) => code as number | null),
  };
}

/** What the practice model is given for three tokens and nothing before them. */
async function writeInputs(path: string): Promise<void> {
  const int64 = (values: bigint[]): Tensor => ({
    type: 'int64',
    shape: [1, values.length],
    data: new Uint8Array(BigInt64Array.from(values).buffer),
  });
  const tensors = new Map([
    ['input_ids', int64([0n, 5n, 7n])],
    ['attention_mask', int64([1n, 1n, 1n])],
    ['position_ids', int64([0n, 1n, 2n])],
  ]);
  for (let layer = 0; layer < 6; layer += 1) {
    for (const part of ['key', 'value']) {
      tensors.set(`past_key_values.${layer}.${part}`, { type: 'float32', shape: [1, 6, 0, 32], data: new Uint8Array(0) });
    }
  }
  await writeNpz(path, tensors);
}

test('twenty shards are computed, told, recorded and proven, and the agent ends by itself', async () => {
  const dataDir = temporaryFolder();
  const run = hearthlend(dataDir, 'start', '--headless', '--network', 'local', '--shards', '20');
  expect(await run.ended).toBe(0);
  const accepted = run.lines.filter(({ event }) => event === 'accepted');
  expect(new Set(accepted.map(({ shard, attempt }) => `${shard}/${attempt}`)).size).toBe(20);
  expect(accepted).toHaveLength(20);
  expect(run.lines.at(-1)).toMatchObject({ event: 'summary', accepted: 20, rejected: 0, failed: 0 });
  expect(existsSync(join(dataDir, 'agent.json'))).toBe(false);
  const verify = hearthlend(dataDir, 'ledger', 'verify');
  expect(await verify.ended).toBe(0);
  expect(verify.lines).toMatchObject([{ ok: true, receipts: 20, problems: [] }]);
  const earnings = hearthlend(dataDir, 'earnings');
  expect(await earnings.ended).toBe(0);
  expect(earnings.lines).toMatchObject([{ practice: true, acceptedShards: 20, promised: '0', paid: '0' }]);
  const exported = hearthlend(dataDir, 'ledger', 'export', '--format', 'csv', '--out', 'all.csv');
  expect(await exported.ended).toBe(0);
  expect(exported.lines).toEqual([{ event: 'exported', rows: 20, path: join(dataDir, 'all.csv') }]);
}, 60_000);

test('a job alone, and one on the running agent, give the same outputs; the agent refuses a second one and leaves at Ctrl-C', async () => {
  const dataDir = temporaryFolder();
  await writeInputs(join(dataDir, 'in.npz'));
  const submit = (outputs: string) =>
    hearthlend(dataDir, 'job', 'submit', '--model', model, '--inputs', 'in.npz', '--outputs', outputs, '--threads', '1');
  const alone = submit('alone.npz');
  expect(await alone.ended).toBe(0);
  expect(alone.lines.at(-1)).toMatchObject({ event: 'done', state: 'done', accepted: 1, tensors: 13 });
  const agent = hearthlend(dataDir, 'start', '--headless');
  await agent.seen('accepted');
  const asked = submit('asked.npz');
  expect(await asked.ended).toBe(0);
  const outputs = await readNpz(join(dataDir, 'alone.npz'), 1 << 30);
  expect([...outputs.keys()].slice(0, 2)).toEqual(['logits', 'present.0.key']);
  expect(outputs.get('logits')?.shape).toEqual([1, 3, 2048]);
  expect(await readNpz(join(dataDir, 'asked.npz'), 1 << 30)).toEqual(outputs);
  const second = hearthlend(dataDir, 'start', '--headless');
  expect(await second.ended).toBe(1);
  expect(second.lines).toMatchObject([{ event: 'error', code: 'AGENT_RUNNING', message: expect.stringContaining(String(agent.pid)) }]);
  agent.signal('SIGINT');
  expect(await agent.ended).toBe(0);
  expect(agent.lines.at(-1)).toMatchObject({ event: 'summary' });
  expect(agent.lines.filter(({ event }) => event === 'accepted')).toHaveLength(Number(agent.lines.at(-1)?.accepted));
  const verify = hearthlend(dataDir, 'ledger', 'verify');
  expect(await verify.ended).toBe(0);
}, 60_000);

test('a stop that comes while the agent still starts ends it cleanly', async () => {
  const dataDir = temporaryFolder();
  const agent = hearthlend(dataDir, 'start', '--headless');
  await agent.seen('started');
  agent.signal('SIGTERM');
  expect(await agent.ended).toBe(0);
  expect(agent.lines.at(-1)).toMatchObject({ event: 'summary' });
  const verify = hearthlend(dataDir, 'ledger', 'verify');
  expect(await verify.ended).toBe(0);
});
