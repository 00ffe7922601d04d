import { type Command, Option } from 'commander';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { Context, ExitCode } from './command.ts';
import {
  runWalletAddress,
  runWalletCreate,
  runWalletImport,
  runWalletLock,
  runWalletStatus,
  runWalletUnlock,
  runWalletWatch,
} from './wallet.ts';
import { runWalletBalance, runWalletClaim } from './wallet-claims.ts';
import { runWalletExport } from './wallet-export.ts';
import { addSendCommands } from './wallet-send-program.ts';

interface Typed {
  passwordStdin?: true;
  reveal?: true;
  words?: true;
  privateKey?: true;
  keystore?: string;
  replace?: true;
  remove?: true;
  out?: string;
}

/** `wallet …`: every secret is asked for at the keyboard or read from stdin, and never stands in the command line. */
export function addWalletCommands(program: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const wallet = program.command('wallet').description(message('cli.help.wallet'));
  const fromStdin = () => new Option('--password-stdin', message('cli.help.password-stdin'));
  const reveal = () => new Option('--reveal', message('cli.help.reveal'));

  wallet
    .command('create')
    .description(message('cli.help.wallet-create'))
    .addOption(fromStdin())
    .addOption(reveal())
    .action((typed: Typed) =>
      run((context) => runWalletCreate(context, { passwordStdin: typed.passwordStdin ?? false, reveal: typed.reveal ?? false })),
    );
  wallet
    .command('import')
    .description(message('cli.help.wallet-import'))
    .addOption(new Option('--words', message('cli.help.import-words')).conflicts(['privateKey', 'keystore']))
    .addOption(new Option('--private-key', message('cli.help.import-key')).conflicts('keystore'))
    .option('--keystore <file>', message('cli.help.import-keystore'))
    .option('--replace', message('cli.help.replace'))
    .addOption(fromStdin())
    .action((typed: Typed) => {
      const kind = typed.words ? 'words' : typed.privateKey ? 'key' : typed.keystore === undefined ? undefined : 'keystore';
      if (kind === undefined) throw new HearthlendError('USAGE', { detail: message('cli.usage.import') });
      const options = { kind, file: typed.keystore ?? null, replace: typed.replace ?? false, passwordStdin: typed.passwordStdin ?? false };
      return run((context) => runWalletImport(context, { ...options, kind }));
    });
  wallet
    .command('export')
    .description(message('cli.help.wallet-export'))
    .option('--out <file>', message('cli.help.export-out'))
    .addOption(new Option('--words', message('cli.help.export-words')).conflicts(['privateKey', 'out']))
    .addOption(new Option('--private-key', message('cli.help.export-key')).conflicts('out'))
    .addOption(fromStdin())
    .addOption(reveal())
    .action((typed: Typed) =>
      run((context) =>
        runWalletExport(context, {
          what: typed.words ? 'words' : typed.privateKey ? 'key' : 'keystore',
          out: typed.out ?? null,
          passwordStdin: typed.passwordStdin ?? false,
          reveal: typed.reveal ?? false,
        }),
      ),
    );
  wallet
    .command('address')
    .description(message('cli.help.wallet-address'))
    .action(() => run(runWalletAddress));
  wallet
    .command('status')
    .description(message('cli.help.wallet-status'))
    .action(() => run(runWalletStatus));
  wallet
    .command('unlock')
    .description(message('cli.help.wallet-unlock'))
    .addOption(fromStdin())
    .action((typed: Typed) => run((context) => runWalletUnlock(context, typed.passwordStdin ?? false)));
  wallet
    .command('lock')
    .description(message('cli.help.wallet-lock'))
    .action(() => run(runWalletLock));
  wallet
    .command('balance')
    .description(message('cli.help.wallet-balance'))
    .action(() => run(runWalletBalance));
  wallet
    .command('claim')
    .option('--network <id>', message('cli.help.claim-network'))
    .option('--yes', message('cli.help.claim-yes'))
    .description(message('cli.help.wallet-claim'))
    .action((typed: { network?: string; yes?: true }) =>
      run((context) => runWalletClaim(context, { network: typed.network ?? null, yes: typed.yes ?? false })),
    );
  addSendCommands(wallet, run);
  wallet
    .command('watch')
    .argument('[address]', message('cli.help.watch-address'))
    .option('--remove', message('cli.help.watch-remove'))
    .description(message('cli.help.wallet-watch'))
    .action((address: string | undefined, typed: Typed) => {
      if ((address === undefined) !== (typed.remove === true)) throw new HearthlendError('USAGE', { detail: message('cli.usage.watch') });
      return run((context) => runWalletWatch(context, address ?? null));
    });
}
