import type { Command } from 'commander';
import { MAX_PARTS } from '../core/contract/batch.ts';
import { HearthlendError } from '../core/contract/errors.ts';
import { message } from '../core/contract/messages.ts';
import { MAX_STAGES } from '../core/contract/stages.ts';
import { baseUnits, wholeNumber } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import { runJobCancel, runJobList, runJobSave, runJobShow } from './commands/job.ts';
import { runSubmit } from './commands/submit.ts';

const MAX_COUNT = 1_000_000;
const MAX_SECONDS = 86_400;

interface Target {
  network?: string;
  keyFile?: string;
}
interface Submitted extends Target {
  model: string;
  inputs: string;
  outputs: string;
  threads?: number;
  timeout?: number;
  stages?: number;
  tokens?: number;
  split?: number;
  price?: string;
  maxCost?: string;
}

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;
/** Loaded where a network is asked: most commands never do. */
const remote = () => import('./commands/remote-jobs.ts');

/** `hearthlend job …`, on this machine or, with `--network`, on a network. */
export function addJobCommands(program: Command, run: Run): void {
  const job = program.command('job').description(message('cli.help.job'));
  const withTarget = (command: Command): Command =>
    command.option('--network <id>', message('cli.help.job-network')).option('--key-file <file>', message('cli.help.key-file'));
  withTarget(job.command('submit').description(message('cli.help.job-submit')))
    .requiredOption('--model <file>', message('cli.help.model'))
    .requiredOption('--inputs <file>', message('cli.help.inputs'))
    .requiredOption('--outputs <file>', message('cli.help.outputs'))
    .option('--threads <count>', message('cli.help.threads'), wholeNumber(1, 256))
    .option('--timeout <seconds>', message('cli.help.timeout'), wholeNumber(1, MAX_SECONDS))
    .option('--stages <count>', message('cli.help.stages'), wholeNumber(1, MAX_STAGES))
    .option('--tokens <count>', message('cli.help.job-tokens'), wholeNumber(1, MAX_COUNT))
    .option('--split <count>', message('cli.help.split-batch'), wholeNumber(1, MAX_PARTS))
    .option('--price <amount>', message('cli.help.price'), baseUnits)
    .option('--max-cost <amount>', message('cli.help.max-cost'), baseUnits)
    .action((options: Submitted) => run(async (context) => submit(context, options)));
  withTarget(job.command('list').description(message('cli.help.job-list'))).action((options: Target) =>
    run(async (context) => {
      const target = targetOf(options);
      return target === null ? runJobList(context) : (await remote()).runRemoteList(context, target);
    }),
  );
  for (const [name, cancel, own] of [
    ['show', false, runJobShow],
    ['cancel', true, runJobCancel],
  ] as const) {
    withTarget(
      job
        .command(name)
        .argument('<job>', message('cli.help.job-id'))
        .description(message(`cli.help.job-${name}`)),
    ).action((id: string, options: Target) =>
      run(async (context) => {
        const target = targetOf(options);
        return target === null ? own(context, id) : (await remote()).runRemoteShow(context, target, id, cancel);
      }),
    );
  }
  withTarget(job.command('save').argument('<job>', message('cli.help.job-id')).description(message('cli.help.job-save')))
    .requiredOption('--outputs <file>', message('cli.help.outputs'))
    .action((id: string, options: Target & { outputs: string }) =>
      run(async (context) => {
        const target = targetOf(options);
        return target === null
          ? runJobSave(context, id, options.outputs)
          : (await remote()).runRemoteSave(context, target, id, options.outputs);
      }),
    );
}

async function submit(context: Context, options: Submitted): Promise<ExitCode> {
  const target = targetOf(options);
  const { model, inputs, outputs, stages, tokens, split, price, maxCost } = options;
  const common = {
    ...{ model, inputs, outputs, threads: options.threads ?? 0, wallMs: (options.timeout ?? MAX_SECONDS) * 1000 },
    ...{ split: split ?? null, stages: stages ?? null, maxNewTokens: tokens ?? null },
  };
  if (target === null) {
    if (price !== undefined || maxCost !== undefined) throw new HearthlendError('USAGE', { detail: message('cli.usage.price-local') });
    return runSubmit(context, common);
  }
  return (await remote()).runRemoteSubmit(context, { ...target, ...common, price: price ?? null, maxCost: maxCost ?? null });
}

/** Null: this machine. */
function targetOf({ network, keyFile }: Target): { network: string; keyFile: string | null } | null {
  return network === undefined || network === 'local' ? null : { network, keyFile: keyFile ?? null };
}
