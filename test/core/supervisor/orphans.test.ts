import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { slowModel, slowTurns } from '../../fixtures/onnx-models.ts';
import { root, storeModel } from './workbench.ts';

/** Processes below `pid`, itself included. */
function treeOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(treeOf)];
}

function isGone(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
}

test.skipIf(process.platform !== 'linux').each(['walled', 'frozen', 'bare'])(
  'when the agent is killed in the middle of a run, its worker ends by itself (%s)',
  async (level) => {
    const stored = storeModel(slowModel());
    const inputs = Buffer.from(encodeSafetensors(slowTurns(1e9))).toString('base64');
    const args = [
      fileURLToPath(new URL('../../fakes/agent-with-worker.ts', import.meta.url)),
      join(root, 'dist/worker/native.mjs'),
      stored.files.get('model.onnx') as string,
      level,
      inputs,
    ];
    const agent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: agent.stdout }), 'line')) as [string];
    const { worker, modelsDir } = JSON.parse(line) as { worker: number; modelsDir: string };
    onTestFinished(() => rmSync(modelsDir, { recursive: true, force: true }));
    const processes = treeOf(worker);
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    await vi.waitFor(() => expect(processes.filter((pid) => !isGone(pid))).toEqual([]), { timeout: 5_000, interval: 20 });
  },
);
