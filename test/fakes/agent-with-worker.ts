import { copyFileSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CPU } from '../../core/contract/backends.ts';
import { nativeWorkers } from '../../core/supervisor/native-process.ts';
import { detectWall } from '../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../core/supervisor/sandbox/needs.ts';
import { planBare, planLaunch } from '../../core/supervisor/sandbox/plan.ts';
import { WorkerProcess } from '../../core/supervisor/worker-process.ts';

// An agent to be killed: `node agent-with-worker.ts WORKER.mjs MODEL.onnx bare|walled|frozen INPUTS`. It starts the real worker, lets it compute the
// model on the inputs (a safetensors blob in base64), and prints a line when the worker is at it.
const [script, modelFile, level, inputs] = process.argv.slice(2) as [string, string, string, string];
const modelsDir = mkdtempSync(join(tmpdir(), 'hearthlend-killed-'));
const model = 'a'.repeat(64);
mkdirSync(join(modelsDir, model));
copyFileSync(modelFile, join(modelsDir, model, 'model.onnx'));
const needs = await resolveNeeds({ nodePath: process.execPath, scriptPath: script, modelsDir, scratchBytes: 1 << 20, heapMiB: 256 });
const launch = level === 'bare' ? planBare(needs) : planLaunch(await detectWall(needs), needs);
const worker = new WorkerProcess(
  nativeWorkers(() => launch),
  modelsDir,
);
await worker.ready;
const session = { intraOpThreads: 1, graphOptimization: 'all' } as const;
await worker.request<'load'>({ type: 'load', id: 1, model, entry: 'model.onnx', session, provider: CPU, strict: false });
const running = worker.request<'run'>(
  { type: 'run', id: 2, model, session, provider: CPU, outputs: [], outputBytes: 1024 },
  Buffer.from(inputs, 'base64'),
);
if (level === 'frozen') worker.freeze?.(true);
process.stdout.write(`${JSON.stringify({ worker: worker.pid, modelsDir })}\n`);
await running;
