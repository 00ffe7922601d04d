import { resolve } from 'node:path';
import { message } from '../../core/contract/messages.ts';
import type { SplitManifest, Stage } from '../../core/contract/stages.ts';
import { reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { sizeText } from './model.ts';
import { modelOf } from './submit.ts';

export interface SplitOptions {
  model: string;
  stages: number;
  /** A folder; null: one named after the stages, here. */
  out: string | null;
  /** An .npz to try the stages with; null: inputs are made. */
  inputs: string | null;
}

/** Cuts a model into stages that several machines can compute one after the other, and tells what each of them is. */
export async function runModelSplit({ world, terminal, dataDir }: Context, options: SplitOptions): Promise<ExitCode> {
  const model = modelOf(world.cwd, options.model);
  const out = resolve(world.cwd, options.out ?? `${options.stages}-stages`);
  const inputs = options.inputs === null ? {} : { inputs: resolve(world.cwd, options.inputs) };
  const reach = await reachAgent(world, dataDir);
  try {
    const split = await withProgress(
      terminal,
      () => message('cli.progress.split', { stages: options.stages }),
      reach.client.call('model.split', { model, stages: options.stages, out, ...inputs }),
    );
    terminal.emit({ event: 'done', out, ...split });
    const [head = '', ...rows] = stageLines(split);
    terminal.text(terminal.bold(head));
    for (const row of rows) terminal.text(row);
    terminal.text(checkLine(split));
    terminal.text(message('cli.split.written', { stages: split.stages.length, path: out }));
  } finally {
    await reach.close();
  }
  return 0;
}

function stageLines({ stages }: SplitManifest): string[] {
  const header = ['cli.split.stage', 'cli.split.layers', 'cli.split.weights', 'cli.split.hands-on'] as const;
  const rows = stages.map((stage, index) => [String(index + 1), layersOf(stage), sizeText(stage.weightBytes), handedOn(stage)]);
  return alignColumns([header.map((key) => message(key)), ...rows], [2]);
}

/** A stage's layers follow each other. */
function layersOf({ layers }: Stage): string {
  const [first, last] = [layers[0], layers.at(-1)];
  if (first === undefined || last === undefined) return '–';
  return first === last ? String(first) : `${first}–${last}`;
}

function handedOn({ outputs }: Stage): string {
  const names = outputs
    .filter(({ to }) => to !== 'cache')
    .map(({ name, type, shape }) => `${name} ${type} [${shape.map((size) => (typeof size === 'number' ? size : '…')).join(', ')}]`);
  return names.join('; ');
}

function checkLine({ check: { against, runs, distance } }: SplitManifest): string {
  if (against === 'stages' || distance === null) return message('cli.split.unchecked', { runs });
  return message('cli.split.checked', { runs, same: distance === 0 ? 'yes' : 'no', distance: distance.toExponential(1) });
}
