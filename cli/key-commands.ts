import type { Command } from 'commander';
import { message } from '../core/contract/messages.ts';
import { keyName } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import { runKeyCreate, runKeyList, runKeyRemove } from './commands/key.ts';

/** `hearthlend key …` */
export function addKeyCommands(program: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const key = program.command('key').description(message('cli.help.key'));
  key
    .command('create')
    .description(message('cli.help.key-create'))
    .requiredOption('--name <name>', message('cli.help.key-name'), keyName)
    .action((options: { name: string }) => run((context) => runKeyCreate(context, options.name)));
  key
    .command('list')
    .description(message('cli.help.key-list'))
    .action(() => run(runKeyList));
  key
    .command('remove')
    .argument('<key>', message('cli.help.key-wanted'))
    .description(message('cli.help.key-remove'))
    .action((wanted: string) => run((context) => runKeyRemove(context, wanted)));
}
