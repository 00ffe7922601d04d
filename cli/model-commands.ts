import type { Command } from 'commander';
import { message } from '../core/contract/messages.ts';
import { MAX_STAGES } from '../core/contract/stages.ts';
import { wholeNumber } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import { runModelAdd, runModelList, runModelRemove, runModelShow } from './commands/model.ts';

/** `hearthlend model …` */
export function addModelCommands(program: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const model = program.command('model').description(message('cli.help.models'));
  model
    .command('add')
    .argument('<source>', message('cli.help.model-source'))
    .description(message('cli.help.model-add'))
    .option('--file <path>', message('cli.help.model-file'))
    .option('--yes', message('cli.help.model-yes'))
    .option('--accept-missing-licence', message('cli.help.model-licence'))
    .action((source: string, options: { file?: string; yes?: true; acceptMissingLicence?: true }) =>
      run((context) =>
        runModelAdd(context, {
          source,
          file: options.file ?? null,
          yes: options.yes ?? false,
          acceptMissingLicence: options.acceptMissingLicence ?? false,
        }),
      ),
    );
  model
    .command('list')
    .description(message('cli.help.model-list'))
    .option('--catalogue', message('cli.help.model-catalogue'))
    .action((options: { catalogue?: true }) => run((context) => runModelList(context, options.catalogue ?? false)));
  model
    .command('show')
    .argument('<model>', message('cli.help.model-name'))
    .description(message('cli.help.model-show'))
    .action((name: string) => run((context) => runModelShow(context, name)));
  model
    .command('split')
    .description(message('cli.help.model-split'))
    .requiredOption('--model <file>', message('cli.help.model'))
    .requiredOption('--stages <count>', message('cli.help.stages'), wholeNumber(1, MAX_STAGES))
    .option('--out <folder>', message('cli.help.split-out'))
    .option('--inputs <file>', message('cli.help.split-inputs'))
    .action((options: { model: string; stages: number; out?: string; inputs?: string }) =>
      run(async (context) => {
        const { runModelSplit } = await import('./commands/split.ts');
        return runModelSplit(context, { ...options, out: options.out ?? null, inputs: options.inputs ?? null });
      }),
    );
  model
    .command('remove')
    .argument('<model>', message('cli.help.model-name'))
    .description(message('cli.help.model-remove'))
    .action((name: string) => run((context) => runModelRemove(context, name)));
}
