import { type Command, Option } from 'commander';
import { message } from '../../core/contract/messages.ts';
import { wholeNumber } from './arguments.ts';
import type { Context, ExitCode } from './command.ts';
import { runContactsAdd, runContactsList, runContactsRemove } from './wallet-contacts.ts';
import { runWalletLimit, runWalletSend } from './wallet-send.ts';

interface Typed {
  to: string;
  amount: string;
  asset?: string;
  chain?: number;
  yes?: true;
  yesNewAddress?: true;
  passwordStdin?: true;
}

/** `wallet send`, what it may send, and to whom. */
export function addSendCommands(wallet: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const asset = () => new Option('--asset <token>', message('cli.help.send-asset'));
  const chain = () => new Option('--chain <id>', message('cli.help.send-chain')).argParser(wholeNumber(1, 0xffff_ffff));
  const fromStdin = () => new Option('--password-stdin', message('cli.help.password-stdin'));
  wallet
    .command('send')
    .description(message('cli.help.wallet-send'))
    .requiredOption('--to <address>', message('cli.help.send-to'))
    .requiredOption('--amount <amount>', message('cli.help.send-amount'))
    .addOption(asset())
    .addOption(chain())
    .option('--yes', message('cli.help.send-yes'))
    .option('--yes-new-address', message('cli.help.send-yes-new-address'))
    .addOption(fromStdin())
    .action(({ to, amount, ...typed }: Typed) =>
      run((context) =>
        runWalletSend(context, {
          ...{ to, amount, asset: typed.asset ?? null, chainId: typed.chain ?? null, yes: typed.yes ?? false },
          ...{ yesNewAddress: typed.yesNewAddress ?? false, passwordStdin: typed.passwordStdin ?? false },
        }),
      ),
    );
  wallet
    .command('limit')
    .argument('<amount>', message('cli.help.limit-amount'))
    .description(message('cli.help.wallet-limit'))
    .addOption(asset())
    .addOption(chain())
    .addOption(fromStdin())
    .action((amount: string, typed: Typed) =>
      run((context) =>
        runWalletLimit(context, {
          ...{ amount, asset: typed.asset ?? null, chainId: typed.chain ?? null, passwordStdin: typed.passwordStdin ?? false },
        }),
      ),
    );
  const contacts = wallet.command('contacts').description(message('cli.help.contacts'));
  contacts
    .command('list')
    .description(message('cli.help.contacts-list'))
    .action(() => run(runContactsList));
  contacts
    .command('add')
    .argument('<name>', message('cli.help.contact-name'))
    .argument('<address>', message('cli.help.contact-address'))
    .description(message('cli.help.contacts-add'))
    .action((name: string, address: string) => run((context) => runContactsAdd(context, name, address)));
  contacts
    .command('remove')
    .argument('<name>', message('cli.help.contact-name'))
    .description(message('cli.help.contacts-remove'))
    .action((name: string) => run((context) => runContactsRemove(context, name)));
}
