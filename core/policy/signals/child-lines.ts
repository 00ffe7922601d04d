import { type ChildProcess, spawn } from 'node:child_process';
import type { Watching } from './keep-up.ts';

const MAX_LINE_CHARACTERS = 2 ** 18;
const STDERR_CHARACTERS = 500;

export interface LineChild {
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Goes to its stdin at once. The end of its stdin tells it that we are gone, however we went. */
  input?: string;
}

/**
 * Starts a program that tells things line by line for as long as it lives, and is killed with all that it started when it is no longer
 * wanted.
 * @throws where it can't be started
 */
export async function openChildLines({ command, args, env, input }: LineChild, onLine: (line: string) => void): Promise<Watching> {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that what it starts ends with it.
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...(env === undefined ? {} : { env }),
  });
  const closed = Promise.withResolvers<string>();
  let said = '';
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length > MAX_LINE_CHARACTERS) kill(child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_CHARACTERS);
  });
  // One that ends while we write says why by its exit.
  child.stdin.on('error', () => child.stdin.destroy());
  child.once('close', (code, signal) => closed.resolve(`${command} ended (${signal ?? code}) ${said.trim()}`.trim()));
  const started = Promise.withResolvers<void>();
  child.once('spawn', started.resolve);
  child.once('error', started.reject);
  await started.promise;
  if (input !== undefined) child.stdin.write(input);
  return {
    closed: closed.promise,
    async close() {
      kill(child);
      await closed.promise;
    },
  };
}

function kill(child: ChildProcess): void {
  child.kill('SIGKILL');
  if (child.pid === undefined || process.platform === 'win32') return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: nobody of the group is left, which is what was wanted.
  }
}
