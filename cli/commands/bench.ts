import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BenchLine } from '../../core/bench.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { Context, ExitCode } from './command.ts';

type Machine = Extract<BenchLine, { event: 'machine' }>;
type Measure = Extract<BenchLine, { event: 'measure' }>;

export interface BenchOptions {
  quick: boolean;
  /** A file for all of it as one JSON object; null: none. */
  out: string | null;
}

/** Measures what the agent costs on this machine. It needs the machine, not the agent: the data folder only lends its disk. */
export async function runBenchCommand({ world, terminal, dataDir }: Context, { quick, out }: BenchOptions): Promise<ExitCode> {
  let machine: Machine | undefined;
  const measures: Measure[] = [];
  const progress = terminal.progress(() => message('cli.progress.measuring', { count: measures.length }));
  try {
    for await (const line of world.bench(dataDir, quick)) {
      terminal.emit(line);
      if (line.event === 'machine') {
        machine = line;
        terminal.text(machineLine(line));
      } else {
        measures.push(line);
        terminal.note(message('cli.bench.measured', { name: line.name }));
      }
    }
  } finally {
    progress.end();
  }
  for (const line of table(measures)) terminal.text(line);
  if (out !== null) {
    const path = resolve(world.cwd, out);
    const content = { at: new Date(world.clock()).toISOString(), version: world.version, quick, machine, measures };
    try {
      writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`);
    } catch (thrown) {
      throw new HearthlendError('FILE_UNWRITABLE', { path, detail: (thrown as Error).message }, { cause: thrown });
    }
    terminal.text(message('cli.bench.written', { path }));
  }
  return 0;
}

function machineLine({ cpu, cores, load, governor, memoryBytes, platform, node, threads }: Machine): string {
  const facts = { cpu, cores, load, governor: governor ?? '–', gigabytes: memoryBytes / 1e9, platform, node, threads };
  return message('cli.bench.machine', facts);
}

function table(measures: readonly Measure[]): string[] {
  const rows = measures.map(({ name, value, unit, baseline, ratio }) => [
    `${value} ${unit}`,
    ratio === undefined ? '' : message('cli.bench.ratio', { ratio }),
    baseline === undefined ? '' : message('cli.bench.baseline', { name: baseline.name, value: baseline.value, unit }),
    name,
  ]);
  return alignColumns(rows);
}
