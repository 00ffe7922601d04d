import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, constants, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BreakOutTask } from '../../../../core/contract/break-out.ts';
import type { BreakOutAttempt } from '../../../../core/contract/isolation.ts';
import { type Bait, layBait } from '../../../../core/supervisor/sandbox/bait.ts';
import { resolveNeeds } from '../../../../core/supervisor/sandbox/needs.ts';
import type { Launch, SandboxNeeds } from '../../../../core/supervisor/sandbox/plan.ts';
import { runProbe, taskFor } from '../../../../core/supervisor/sandbox/probe.ts';

/** A machine to break out into: files of a user, a program of theirs that runs, listeners. Root hides much, so the user is an ordinary one. */
export interface Outside {
  needs: SandboxNeeds;
  /** Tries every way out of this launch, as the ordinary user. */
  probe(launch: Launch, granted?: Partial<BreakOutTask['granted']>): Promise<BreakOutAttempt[]>;
  close(): Promise<void>;
}

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--inh-caps=-all'];
const canary = { name: 'HEARTHLEND_CANARY', value: 'sings' };

/** The same launch, as an ordinary user. */
function asOrdinaryUser(launch: Launch): Launch {
  if (!isRoot) return launch;
  return { ...launch, command: '/usr/bin/setpriv', args: [...AS_NOBODY, launch.command, ...launch.args] };
}

export async function openOutside(): Promise<Outside> {
  const root = join(import.meta.dirname, '../../../..');
  const resolved = await resolveNeeds({
    nodePath: process.execPath,
    scriptPath: join(root, 'dist/worker/probe.mjs'),
    modelsDir: tmpdir(),
    scratchBytes: 1 << 20,
    heapMiB: 256,
  });
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-outside-'));
  chmodSync(folder, 0o755);
  // An ordinary user may not be able to reach the checkout.
  const copy = (from: string, name: string): string => {
    cpSync(from, join(folder, name), { recursive: true, mode: constants.COPYFILE_FICLONE });
    return join(folder, name);
  };
  const own = (name: string, make: (path: string) => void): string => {
    const path = join(folder, name);
    make(path);
    if (isRoot) chownSync(path, NOBODY, NOBODY);
    return path;
  };
  const { onnxruntimeNode, onnxruntimeCommon } = resolved.runtimeDirs;
  const binaries = `bin/napi-v6/${resolved.platform}/${resolved.arch}`;
  for (const entry of ['package.json', 'dist', binaries]) copy(join(onnxruntimeNode, entry), `onnxruntime-node/${entry}`);
  const modelsDir = own('models', (path) => mkdirSync(path));
  own('models/model.onnx', (path) => writeFileSync(path, 'weights'));
  const home = own('home', (path) => mkdirSync(path));
  own('home/.ssh', (path) => mkdirSync(path));
  own('home/.ssh/id', (path) => writeFileSync(path, 'secret', { mode: 0o600 }));
  const keystore = own('home/keystore.json', (path) => writeFileSync(path, 'secret', { mode: 0o600 }));
  const scratch = own('scratch', (path) => mkdirSync(path));
  own('script', (path) => mkdirSync(path));
  own('program', (path) => mkdirSync(path));
  const needs: SandboxNeeds = {
    ...resolved,
    nodePath: copy(resolved.nodePath, 'program/node'),
    scriptPath: own('script/probe.mjs', (path) => cpSync(resolved.scriptPath, path)),
    runtimeDirs: { onnxruntimeNode: join(folder, 'onnxruntime-node'), onnxruntimeCommon: copy(onnxruntimeCommon, 'onnxruntime-common') },
    modelsDir,
  };
  const bait: Bait = await layBait(`test-${process.pid}`);
  if (bait.listeners.unixPath !== null) {
    chmodSync(join(bait.listeners.unixPath, '..'), 0o755);
    chmodSync(bait.listeners.unixPath, 0o777);
  }
  const agent = await startAgent(needs.nodePath);

  return {
    needs,
    probe(launch, granted) {
      const task = taskFor(launch, needs, [{ label: 'keystore', path: keystore }], bait, canary);
      const bare = launch.command === needs.nodePath;
      return runProbe(asOrdinaryUser(launch), {
        ...task,
        home,
        agentPid: agent.pid ?? 1,
        granted: { ...task.granted, ...(bare ? { rootEntries: [], scratchDir: scratch } : {}), ...granted },
      });
    },
    async close() {
      agent.kill('SIGKILL');
      await bait.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  /** A program of the same user, with a secret in its environment: what an agent is to its worker. */
  async function startAgent(node: string): Promise<ChildProcess> {
    const { command, args, env } = asOrdinaryUser({
      command: node,
      args: ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1 << 30)'],
      env: { [canary.name]: canary.value },
      inputs: [],
      inside: { modelsDir, scratchDir: null, rootEntries: null, environment: [] },
    });
    const child = spawn(command, args, { env, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return child;
  }
}
