import type { Command } from 'commander';
import { message } from '../core/contract/messages.ts';
import type { Context, ExitCode } from './commands/command.ts';
import { runRulesSet, runRulesShow, runRulesTest } from './commands/rules.ts';

/** `hearthlend rules …` */
export function addRulesCommands(program: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const rules = program.command('rules').description(message('cli.help.rules'));
  rules
    .command('show')
    .description(message('cli.help.rules-show'))
    .action(() => run(runRulesShow));
  rules
    .command('set')
    .argument('<name>', message('cli.help.rules-name'))
    .argument('<value>', message('cli.help.rules-value'))
    .description(message('cli.help.rules-set'))
    .action((name: string, value: string) => run((context) => runRulesSet(context, name, value)));
  rules
    .command('test')
    .description(message('cli.help.rules-test'))
    .option('--signals <file>', message('cli.help.rules-signals'))
    .action((options: { signals?: string }) => run((context) => runRulesTest(context, options.signals ?? null)));
}
