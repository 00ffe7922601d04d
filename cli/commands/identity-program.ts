import { type Command, Option } from 'commander';
import { DELEGATION_DAYS } from '../../core/contract/delegation.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { Address } from '../../core/contract/receipt.ts';
import { wholeNumber } from './arguments.ts';
import type { Context, ExitCode } from './command.ts';
import { runIdentityDelegate, runIdentityPayee, runIdentityRevoke, runIdentityShow, type SigningOptions } from './identity.ts';
import { runIdentityRekey } from './identity-rekey.ts';

interface Typed {
  network?: string;
  days?: number;
  out?: string;
  in?: string;
  signature?: string;
  revocationOut?: string;
  yes?: true;
  passwordStdin?: true;
}

/** `identity …`: the worker's key, and what the wallet says of it. */
export function addIdentityCommands(program: Command, run: (command: (context: Context) => Promise<ExitCode>) => Promise<void>): void {
  const identity = program.command('identity').description(message('cli.help.identity'));
  identity
    .command('show')
    .description(message('cli.help.identity-show'))
    .action(() => run(runIdentityShow));
  addSigning(identity.command('delegate').description(message('cli.help.identity-delegate')))
    .option('--network <address>', message('cli.help.identity-network'))
    .option('--days <days>', message('cli.help.identity-days'), wholeNumber(1, DELEGATION_DAYS.most))
    .action((typed: Typed) => {
      const wish = { kind: 'delegation', networkKey: checkedKey(typed.network), days: typed.days ?? DELEGATION_DAYS.usual } as const;
      return run((context) => runIdentityDelegate(context, wish, signing(typed)));
    });
  addSigning(identity.command('revoke').description(message('cli.help.identity-revoke')))
    .option('--revocation-out <file>', message('cli.help.identity-revocation-out'))
    .action((typed: Typed) => run((context) => runIdentityRevoke(context, signing(typed), typed.revocationOut ?? null)));
  addSigning(identity.command('payee').argument('<address>', message('cli.help.identity-payee-address')))
    .description(message('cli.help.identity-payee'))
    .option('--network <address>', message('cli.help.identity-network'))
    .action((payee: string, typed: Typed) => {
      const wish = { kind: 'payee', payee, networkKey: checkedKey(typed.network) } as const;
      return run((context) => runIdentityPayee(context, wish, signing(typed)));
    });
  addSigning(identity.command('rekey').description(message('cli.help.identity-rekey')))
    .option('--days <days>', message('cli.help.identity-days'), wholeNumber(1, DELEGATION_DAYS.most))
    .action((typed: Typed) => run((context) => runIdentityRekey(context, typed.days ?? DELEGATION_DAYS.usual, signing(typed))));
}

/** @throws WALLET_ADDRESS_INVALID */
function checkedKey(typed: string | undefined): Address | null {
  if (typed === undefined) return null;
  if (Address.safeParse(typed).success) return typed;
  throw new HearthlendError('WALLET_ADDRESS_INVALID', { address: typed.slice(0, 60), detail: 'it is not 0x and 40 hex digits' });
}

function addSigning(command: Command): Command {
  return command
    .option('--out <file>', message('cli.help.identity-out'))
    .option('--in <file>', message('cli.help.identity-in'))
    .option('--signature <hex>', message('cli.help.identity-signature'))
    .option('--yes', message('cli.help.identity-yes'))
    .addOption(new Option('--password-stdin', message('cli.help.password-stdin')));
}

function signing({ out, in: file, signature, yes, passwordStdin }: Typed): SigningOptions {
  const half = (file === undefined) !== (signature === undefined);
  if (half || (file !== undefined && out !== undefined)) throw new HearthlendError('USAGE', { detail: message('cli.usage.identity') });
  const signed = file === undefined || signature === undefined ? null : { file, signature };
  return { out: out ?? null, signed, yes: yes ?? false, passwordStdin: passwordStdin ?? false };
}
