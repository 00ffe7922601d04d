import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { LedgerVerification } from '../../core/contract/rpc.ts';
import { connectToAgent, requireSameVersion } from '../agent/connect.ts';
import { reachAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { World } from '../world.ts';
import type { Context, ExitCode } from './command.ts';

export async function runVerify({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const found = await withProgress(terminal, () => message('cli.progress.verifying'), verify(world, dataDir));
  terminal.emit(found);
  for (const line of verificationLines(found)) terminal.text(line);
  return found.ok ? 0 : 1;
}

/** By the running agent, else by reading the files: no agent opens a ledger that is broken, and just then this is needed. */
async function verify(world: World, dataDir: string): Promise<LedgerVerification> {
  const running = await connectToAgent(dataDir);
  if (running === undefined) return world.verifyLedger(dataDir);
  try {
    requireSameVersion(running, world.version);
    return await running.client.call('ledger.verify', {});
  } finally {
    running.client.close();
  }
}

function verificationLines(found: LedgerVerification): string[] {
  const { entries, receipts, batches } = found;
  if (found.ok) return [message('cli.ledger.whole', { entries, receipts, batches })];
  return [
    message('cli.ledger.broken', { count: found.problems.length }),
    ...found.problems.map(({ code, sequence, detail }) =>
      sequence === null
        ? message('cli.ledger.problem', { code, detail })
        : message('cli.ledger.problem-at', { code, detail, sequence: String(sequence) }),
    ),
  ];
}

export interface ExportOptions {
  format: 'csv' | 'json';
  from: number | null;
  to: number | null;
  /** Null: to stdout. */
  out: string | null;
  /** Receipts and claims instead of attempts. */
  tax: boolean;
}

/** Exports to a file, or through a file of its own to stdout, which then carries the export and nothing else. */
export async function runExport({ world, terminal, dataDir }: Context, options: ExportOptions): Promise<ExitCode> {
  const { format, from, to, tax } = options;
  if (tax && format !== 'csv') throw new HearthlendError('USAGE', { detail: message('cli.usage.tax-csv') });
  const reach = await reachAgent(world, dataDir);
  const path = options.out === null ? join(dataDir, `export-${randomBytes(8).toString('hex')}.${format}`) : resolve(world.cwd, options.out);
  try {
    const exporting = reach.client.call('ledger.export', { format, from, to, path, tax });
    const { rows } = await withProgress(terminal, () => message('cli.progress.exporting'), exporting);
    if (options.out === null) {
      await pipeline(createReadStream(path), world.stdout, { end: false });
      terminal.note(message('cli.ledger.exported', { rows }));
    } else {
      terminal.text(message('cli.ledger.exported-to', { rows, path }));
      terminal.emit({ event: 'exported', rows, path });
    }
  } finally {
    if (options.out === null) await rm(path, { force: true });
    await reach.close();
  }
  return 0;
}
