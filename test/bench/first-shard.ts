// Time from `npm start` to the first accepted shard, against a bare onnxruntime-node program doing the same arithmetic, alternating in one run.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = join(import.meta.dirname, '../..');
const repeats = 5;

interface First {
  ms: number;
  tokens: number;
}

/** Starts what a user starts, in an empty data folder, and waits for the line that says a shard was accepted. */
async function firstAccepted(): Promise<First> {
  const dataDir = mkdtempSync(join(tmpdir(), 'hearthlend-bench-'));
  const from = performance.now();
  const child = spawn(
    'npm',
    ['start', '--silent', '--', '--headless', '--network', 'local', '--shards', '1', '--json', '--data-dir', dataDir],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      shell: process.platform === 'win32',
    },
  );
  let first: First | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line) as { event: string; units?: number };
    if (event.event === 'accepted') first ??= { ms: performance.now() - from, tokens: event.units ?? 0 };
  }
  rmSync(dataDir, { recursive: true, force: true });
  if (first === undefined) throw new Error('no shard was accepted');
  return first;
}

async function bare(tokens: number): Promise<number> {
  const from = performance.now();
  const model = join(root, 'resources/models/wordnet-lm/onnx/model.onnx');
  const child = spawn(process.execPath, [join(import.meta.dirname, 'bare-generation.mjs'), model, String(tokens)], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`the baseline ended with ${code}`);
  return performance.now() - from;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const ours: number[] = [];
const theirs: number[] = [];
for (let repeat = 0; repeat < repeats; repeat += 1) {
  const first = await firstAccepted();
  ours.push(first.ms);
  theirs.push(await bare(Math.max(1, first.tokens)));
}
const value = median(ours);
const baseline = median(theirs);
console.log(
  `machine: ${cpus().length} × ${cpus()[0]?.model ?? 'unknown CPU'}, load ${loadavg()[0]?.toFixed(2)}, ${repeats} repeats, median`,
);
console.log(
  JSON.stringify({
    event: 'measure',
    name: 'npm start to first accepted shard',
    value: Math.round(value),
    unit: 'ms',
    baseline: { name: 'bare onnxruntime-node program, same model, as many tokens', value: Math.round(baseline) },
    ratio: Number((value / baseline).toFixed(2)),
  }),
);
