import { resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { connectToAgent } from '../agent/connect.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { writeNewFile } from './new-file.ts';

export interface DiagnosticsOptions {
  /** Null: a name with the day's date, in the current folder. */
  out: string | null;
  /** Write it without asking. */
  yes: boolean;
}

/** Shows what a report for others would hold, word for word where it is short, and writes it once somebody agrees. */
export async function runDiagnostics({ world, terminal, dataDir }: Context, { out, yes }: DiagnosticsOptions): Promise<ExitCode> {
  const running = await connectToAgent(dataDir);
  try {
    const { client } = running ?? {};
    const report = client === undefined ? null : () => client.call('doctor.report', { isolation: false });
    const { parts, zip } = await withProgress(terminal, () => message('cli.progress.examining'), world.diagnose(dataDir, report));
    const day = new Date(world.clock()).toISOString().slice(0, 10);
    const path = resolve(world.cwd, out ?? `hearthlend-diagnostics-${day}.zip`);
    terminal.text(message('cli.diagnostics.holds'));
    const rows = parts.map(({ name, text }) => [name, message('cli.diagnostics.lines', { lines: text.split('\n').length - 1 })]);
    for (const line of alignColumns(rows)) terminal.text(line);
    for (const { name, text } of parts.filter((part) => part.name !== 'log.jsonl')) terminal.text(`\n${name}\n${text.trimEnd()}`);
    terminal.text(`\n${message('cli.diagnostics.left-out')}`);
    terminal.emit({ event: 'preview', path, parts });
    if (!yes) {
      if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.usage.diagnostics-yes') });
      const answer = await world.keyboard.ask(message('cli.diagnostics.ask', { path }), { secret: false });
      if (!message('cli.diagnostics.yes').split(' ').includes(answer.trim().toLowerCase())) {
        terminal.text(message('cli.diagnostics.not-written'));
        return 0;
      }
    }
    writeNewFile(path, zip());
    terminal.text(message('cli.diagnostics.written', { path }));
    terminal.emit({ event: 'written', path });
    return 0;
  } finally {
    running?.client.close();
  }
}
