import { type ChildProcess, spawn } from 'node:child_process';

/** What `nvidia-smi -q -x` says of sixteen GPUs with all their clocks fits in twice. */
const MAX_OUTPUT_BYTES = 4 << 20;
const MAX_COMPLAINT_BYTES = 16 << 10;

export interface Tool {
  /** Shown to people where it fails. */
  name: string;
  /** Program and arguments; the first program that is there is the one that is asked. */
  programs: readonly string[];
  args: readonly string[];
}

/** `said` is its output, with what it complained of after it: several of these tools complain on either. A late one's is what it had said. */
export type ToolAnswer =
  | { outcome: 'answered'; output: string; said: string }
  | { outcome: 'missing' }
  | { outcome: 'timeout'; output: string }
  | { outcome: 'flooded' }
  | { outcome: 'failed'; output: string; said: string };

/**
 * Asks a program of this machine, in a process that is killed with everything it started when its time is up or its output is too much.
 * Never throws. Numbers come with a decimal point whatever the user's locale.
 * @param env what the program's environment is made from; its PATH finds the program
 */
export async function askTool({ programs, args }: Tool, timeoutMs: number, env: NodeJS.ProcessEnv = process.env): Promise<ToolAnswer> {
  const deadline = performance.now() + timeoutMs;
  for (const program of programs) {
    const answer = await ask(program, args, Math.max(1, deadline - performance.now()), env);
    if (answer.outcome !== 'missing') return answer;
  }
  return { outcome: 'missing' };
}

function ask(program: string, args: readonly string[], timeoutMs: number, env: NodeJS.ProcessEnv): Promise<ToolAnswer> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      // In English and with decimal points: LC_ALL outdoes every other of its kind.
      env: { ...env, LC_ALL: 'C', LANGUAGE: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it started ends with it.
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    const output: Buffer[] = [];
    const complaint: Buffer[] = [];
    let bytes = 0;
    let complaintBytes = 0;
    const settle = (answer: ToolAnswer): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    const text = () => Buffer.concat(output).toString('utf8');
    const giveUp = (answer: ToolAnswer): void => {
      endTree(child);
      settle(answer);
    };
    const timer = setTimeout(() => giveUp({ outcome: 'timeout', output: text() }), timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > MAX_OUTPUT_BYTES) giveUp({ outcome: 'flooded' });
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaintBytes < MAX_COMPLAINT_BYTES) complaint.push(chunk);
      complaintBytes += chunk.byteLength;
      if (complaintBytes > MAX_OUTPUT_BYTES) giveUp({ outcome: 'flooded' });
    });
    // Not there, no program for this processor, not allowed: in each case there is nobody to ask.
    child.once('error', () => settle({ outcome: 'missing' }));
    child.once('close', (code) => {
      const said = `${text()}\n${Buffer.concat(complaint).toString('utf8').slice(0, MAX_COMPLAINT_BYTES)}`;
      settle({ outcome: code === 0 ? 'answered' : 'failed', output: text(), said });
    });
  });
}

/** Ends the process and everything it started. */
function endTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  child.stdout?.destroy();
  child.stderr?.destroy();
  // One that waits for a wedged driver can't be killed; nobody waits for it.
  child.unref();
  if (process.platform === 'win32') {
    if (child.exitCode === null) spawn('taskkill', ['/PID', String(child.pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true });
    return;
  }
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: nothing of the group is left, which is what was wanted.
  }
}
