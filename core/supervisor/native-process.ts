import { constants } from 'node:os';
import { encodeFramePrefix } from '../contract/frame.ts';
import type { StartedWorker, StartWorker, WorkerListener } from '../contract/worker-host.ts';
import { WORKER_FRAME_LIMITS, type WorkerRequest } from '../contract/worker-messages.ts';
import { processTree, treeUsage } from './process-usage.ts';
import type { Launch } from './sandbox/plan.ts';
import { type LaunchedProcess, spawnLaunch } from './sandbox/spawn.ts';

const READY_MS = 10_000;
/** Node, ONNX Runtime and JavaScript's garbage, which come on top of the models. */
const RUNTIME_BYTES = 256 * 2 ** 20;

/** Native workers, each started as `launch` says. */
export function nativeWorkers(launch: (needs: { modelsDir: string }) => Launch): StartWorker {
  return (needs) => new NativeProcess(launch(needs));
}

/** A worker's process: frames over its stdin and stdout. */
class NativeProcess implements StartedWorker {
  readonly readyMs = READY_MS;
  readonly runtimeBytes = RUNTIME_BYTES;
  readonly #child: LaunchedProcess;
  readonly freeze: StartedWorker['freeze'];
  #tree: number[] | null = null;

  /** Starts it. `launch.inside.modelsDir` becomes its one argument. */
  constructor(launch: Launch) {
    this.#child = spawnLaunch({ ...launch, args: [...launch.args, launch.inside.modelsDir] });
    // A process that is stopped doesn't see that its stdin ended. In bubblewrap the kernel ends it with the agent all the same.
    this.freeze = launch.args.includes('--die-with-parent') ? (frozen) => this.#signal(frozen ? 'SIGSTOP' : 'SIGCONT') : undefined;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  listen(listener: WorkerListener): void {
    this.#child.stdout.on('data', listener.data);
    this.#child.stderr.on('data', listener.said);
    // A worker that ends while we write says why by its exit.
    this.#child.stdin.on('error', () => this.#child.stdin.destroy());
    this.#child.once('error', (error) => listener.failed(error.message));
    // 'close' comes when the last process that holds its pipes is gone, and a process lets go of its memory before its files.
    this.#child.once('close', (code, signal) => listener.gone(howItEnded(code, signal)));
  }

  send(request: WorkerRequest, body: Uint8Array | undefined): void {
    const { stdin } = this.#child;
    stdin.cork();
    stdin.write(encodeFramePrefix(request, body?.byteLength ?? 0, WORKER_FRAME_LIMITS));
    if (body !== undefined) stdin.write(body);
    stdin.uncork();
  }

  /** What was started, and what it started: `--die-with-parent` ends what is behind bubblewrap, the process group the rest. */
  kill(): void {
    this.#child.kill('SIGKILL');
    if (this.pid === undefined || process.platform === 'win32') return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch (error) {
      // Nobody of the group is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /** To each of its processes: those inside have a session, and so a process group, of their own. They stay the same once it is ready. */
  #signal(signal: NodeJS.Signals): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (this.pid !== undefined) this.#tree ??= processTree(this.pid);
    for (const pid of this.#tree ?? []) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // It was killed meanwhile.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  usage() {
    return this.pid === undefined ? null : treeUsage(this.pid);
  }
}

/** bubblewrap tells a signal that ended the worker as a shell does: 128 and its number. */
function howItEnded(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `signal ${signal}`;
  const inside = Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
  return inside === undefined ? `exit code ${code}` : `signal ${inside}`;
}
