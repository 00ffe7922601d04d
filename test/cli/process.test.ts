import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from './console.ts';

const program = fileURLToPath(new URL('../fakes/hearthlend.ts', import.meta.url));

interface Run {
  child: ChildProcess;
  stdout(): string;
  seen(pattern: RegExp): Promise<void>;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

function hearthlend(dataDir: string, argv: string[], env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [program, dataDir, ...argv], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const waiting = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      for (const look of waiting) look();
    });
  }
  return {
    child,
    stdout: () => output,
    seen: (pattern) =>
      new Promise((resolve) => {
        const look = () => {
          if (pattern.test(output)) resolve();
        };
        waiting.add(look);
        look();
      }),
    ended: once(child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as NodeJS.Signals | null })),
  };
}

test('SIGTERM ends the process with exit code 0 and the summary as its last line', async () => {
  const run = hearthlend(temporaryFolder(), ['start', '--headless', '--json']);
  await run.seen(/"started"/);
  run.child.kill('SIGTERM');
  expect(await run.ended).toEqual({ code: 0, signal: null });
  expect(JSON.parse(run.stdout().trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ event: 'summary' });
});

test('a Ctrl-C that arrives twice at once, from the terminal and from npm, counts as one; the next signal leaves now', async () => {
  const run = hearthlend(temporaryFolder(), ['start', '--headless'], { FAKE_BUSY: '1' });
  await run.seen(/is running/);
  run.child.kill('SIGINT');
  run.child.kill('SIGINT');
  await run.seen(/Press Ctrl-C again to leave now/);
  expect(run.stdout()).not.toContain('Leaving now');
  run.child.kill('SIGTERM');
  expect(await run.ended).toEqual({ code: 1, signal: null });
  expect(run.stdout()).toContain('Leaving now');
});

test('stop ends the agent, whatever its version, and returns when its process is gone', async () => {
  const dataDir = temporaryFolder();
  const agent = hearthlend(dataDir, ['start', '--headless'], { FAKE_VERSION: '0.0.9' });
  await agent.seen(/is running/);
  const stop = hearthlend(dataDir, ['stop']);
  expect(await stop.ended).toEqual({ code: 0, signal: null });
  expect(stop.stdout()).toContain(`Stopped (process ${agent.child.pid}).`);
  expect(await agent.ended).toEqual({ code: 0, signal: null });
  expect(existsSync(join(dataDir, 'agent.json'))).toBe(false);
});

test('stop --now does not wait for the shard that runs', async () => {
  const dataDir = temporaryFolder();
  const agent = hearthlend(dataDir, ['start', '--headless'], { FAKE_BUSY: '1' });
  await agent.seen(/is running/);
  expect((await hearthlend(dataDir, ['stop', '--now']).ended).code).toBe(0);
  expect((await agent.ended).code).toBe(1);
});

test('after a kill -9 the next command is not misled by the endpoint file, and the next start replaces it', async () => {
  const dataDir = temporaryFolder();
  const killed = hearthlend(dataDir, ['start', '--headless']);
  await killed.seen(/is running/);
  killed.child.kill('SIGKILL');
  await killed.ended;
  expect(existsSync(join(dataDir, 'agent.json'))).toBe(true);
  expect((await hearthlend(dataDir, ['ledger', 'verify']).ended).code).toBe(0);
  const next = hearthlend(dataDir, ['start', '--headless']);
  await next.seen(/is running/);
  const pause = hearthlend(dataDir, ['pause']);
  expect((await pause.ended).code).toBe(0);
  next.child.kill('SIGTERM');
  expect((await next.ended).code).toBe(0);
});

test('a reader that leaves stops the agent politely instead of leaving it behind unseen', async () => {
  const run = hearthlend(temporaryFolder(), ['start', '--headless', '--json'], { FAKE_WORK: '1' });
  await run.seen(/"accepted"/);
  run.child.stdout?.destroy();
  expect((await run.ended).code).toBe(0);
});
