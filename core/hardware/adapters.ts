import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { z } from 'zod';
import type { ReportedAdapter } from './gpus.ts';

const MAX_OUTPUT_BYTES = 1 << 20;

const field = z.string().max(400).optional().catch(undefined);
const Adapters = z.array(
  z.object({
    vendor: field,
    model: field,
    name: field,
    vram: z.number().nullable().optional().catch(null),
    memoryTotal: z.number().optional().catch(undefined),
    vramDynamic: z.boolean().optional().catch(undefined),
  }),
);

/**
 * Asks systeminformation for the graphics adapters, in a process of its own: it starts lspci, nvidia-smi and others, some of them while
 * blocking, and a driver that hangs must not hang the agent. Empty where it fails or takes too long.
 * @param script what the process runs instead of asking, in tests
 */
export async function reportAdapters(nodePath: string, timeoutMs: number, script = ASK): Promise<ReportedAdapter[]> {
  const library = besideArchive(createRequire(import.meta.url).resolve('systeminformation'));
  // A group of its own, so that what it started ends with it.
  const child = spawn(nodePath, ['-e', script, library], {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  const text = await outputOf(child, timeoutMs);
  try {
    return Adapters.parse(JSON.parse(text)).slice(0, 64);
  } catch {
    return [];
  }
}

/** A path into the desktop app's archive, which a plain Node can't look into, as the path of the same file unpacked beside it. */
export function besideArchive(path: string): string {
  return path.replace(/([\\/])app\.asar(?=[\\/])/, '$1app.asar.unpacked');
}

const ASK = `require(process.argv[1]).graphics().then((found) => process.stdout.write(JSON.stringify(found.controllers)))`;

function outputOf(child: ChildProcess, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const giveUp = (): void => {
      clearTimeout(timer);
      end(child);
      resolve('');
    };
    const timer = setTimeout(giveUp, timeoutMs);
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > MAX_OUTPUT_BYTES) giveUp();
      else chunks.push(chunk);
    });
    child.once('error', giveUp);
    child.once('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

/** Ends the process and everything it started. */
function end(child: ChildProcess): void {
  if (child.pid === undefined) return;
  child.stdout?.destroy();
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
