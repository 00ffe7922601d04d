import { type Command, Option } from 'commander';
import { message } from '../core/contract/messages.ts';
import type { Context, ExitCode } from './commands/command.ts';

interface JoinTyped {
  yes?: boolean;
  refuse: string[];
  creditLimit?: string | null;
}

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;
const commands = () => import('./commands/network.ts');

/** `hearthlend network …`: this machine's side of it. */
export function addNetworkCommands(program: Command, run: Run): void {
  const network = program.command('network').description(message('network.help'));
  network
    .command('list')
    .description(message('network.help.list'))
    .option('--nearby', message('network.help.nearby'))
    .action((options: { nearby?: true }) =>
      run(async (context) => {
        const { runNetworkList, runNetworkNearby } = await commands();
        return options.nearby ? runNetworkNearby(context) : runNetworkList(context);
      }),
    );
  network
    .command('join')
    .argument('<link>', message('network.help.link'))
    .description(message('network.help.join'))
    .option('--yes', message('network.help.yes'))
    .addOption(new Option('--refuse <categories>', message('network.help.refuse')).argParser(list).default([], ''))
    .option('--credit-limit <amount>', message('network.help.credit'))
    .action((link: string, { yes = false, refuse, creditLimit = null }: JoinTyped) =>
      run(async (context) => (await commands()).runNetworkJoin(context, { link, yes, refuse, creditLimit })),
    );
  network
    .command('trust')
    .argument('<network>', message('network.help.id'))
    .description(message('network.help.trust'))
    .option('--no-more', message('network.help.no-more'))
    .action((id: string, options: { more: boolean }) =>
      run(async (context) => (await commands()).runNetworkTrust(context, id, options.more)),
    );
  network
    .command('set')
    .argument('<network>', message('network.help.id'))
    .argument('<name>', message('network.help.set-name'))
    .argument('<value>', message('network.help.set-value'))
    .description(message('network.help.set'))
    .action((id: string, name: string, value: string) =>
      run(async (context) => (await commands()).runNetworkSet(context, id, name, value)),
    );
  network
    .command('audits')
    .argument('<network>', message('network.help.id'))
    .description(message('network.help.audits'))
    .action((id: string) => run(async (context) => (await commands()).runNetworkAudits(context, id)));
  network
    .command('leave')
    .argument('<network>', message('network.help.id'))
    .description(message('network.help.leave'))
    .option('--yes', message('network.help.yes'))
    .action((id: string, options: { yes?: true }) =>
      run(async (context) => (await commands()).runNetworkLeave(context, id, options.yes ?? false)),
    );
}

function list(text: string): string[] {
  return text.split(',').filter((each) => each !== '');
}
