import { type Command, InvalidArgumentError, Option } from 'commander';
import { message } from '../core/contract/messages.ts';
import { Address } from '../core/contract/receipt.ts';
import { duration, wholeNumber } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import type { ActTyped } from './commands/escrow.ts';

const HOUR_MS = 3_600_000;
const MOST_HOURS = 90 * 24;

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;
const commands = () => import('./commands/escrow.ts');

interface Typed {
  amount?: string;
  asset?: string;
  worker?: string;
  payee?: string;
  to?: string;
  signer?: string;
  thaw?: number;
  yes?: true;
  passwordStdin?: true;
}

/** `hearthlend coordinator escrow …`: what an operator does with the money that pays its network's workers. */
export function addEscrowCommands(coordinator: Command, run: Run): void {
  const escrow = coordinator.command('escrow').description(message('escrow.help'));
  addKeyCommands(escrow, run);
  escrow
    .command('chain')
    .description(message('escrow.help.chain'))
    .option('--id <n>', message('escrow.help.chain-id'), wholeNumber(1, 0xffff_ffff))
    .option('--rpc <url>', message('escrow.help.rpc'), collect)
    .option('--chain-name <name>', message('escrow.help.chain-name'))
    .option('--symbol <symbol>', message('escrow.help.symbol'))
    .option('--confirmations <n>', message('escrow.help.confirmations'), wholeNumber(1, 1000))
    .option('--contract <address>', message('escrow.help.contract'), address)
    .option('--token <address:symbol:decimals>', message('escrow.help.token'), token)
    .action(
      (typed: {
        id?: number;
        rpc?: string[];
        chainName?: string;
        symbol?: string;
        confirmations?: number;
        contract?: string;
        token?: Token[];
      }) =>
        run(async (context) =>
          (await commands()).runEscrowChain(context, {
            ...{ id: typed.id ?? null, rpc: typed.rpc ?? [], name: typed.chainName ?? null, symbol: typed.symbol ?? null },
            ...{ confirmations: typed.confirmations ?? null, contract: typed.contract ?? null, tokens: typed.token ?? [] },
          }),
        ),
    );
  escrow
    .command('status')
    .description(message('escrow.help.status'))
    .action(() => run(async (context) => (await commands()).runEscrowStatus(context)));

  act('deploy', 'escrow.help.deploy')
    .addOption(
      new Option('--thaw <duration>', message('escrow.help.thaw-time'))
        .argParser(duration(HOUR_MS, MOST_HOURS * HOUR_MS))
        .default(7 * 24 * HOUR_MS, '168h'),
    )
    .action((typed: Typed) => perform(typed, () => ({ kind: 'deploy', thawSeconds: Math.round((typed.thaw ?? 0) / 1000) })));
  withAmount(act('deposit', 'escrow.help.deposit')).action((typed: Typed) =>
    perform(typed, ({ asset, amount }) => ({ kind: 'deposit', token: asset.token.toLowerCase(), amount })),
  );
  withAmount(act('thaw', 'escrow.help.thaw')).action((typed: Typed) =>
    perform(typed, ({ asset, amount }) => ({ kind: 'thaw', token: asset.token, amount })),
  );
  withAsset(act('keep', 'escrow.help.keep')).action((typed: Typed) =>
    perform(typed, ({ asset }) => ({ kind: 'keep', token: asset.token })),
  );
  withAsset(act('withdraw', 'escrow.help.withdraw'))
    .requiredOption('--to <address>', message('escrow.help.to'), address)
    .action((typed: Typed) => perform(typed, ({ asset }) => ({ kind: 'withdraw', token: asset.token, to: typed.to ?? '' })));
  for (const kind of ['earmark', 'thaw-earmark'] as const)
    withChannel(withAmount(act(kind, `escrow.help.${kind}`))).action((typed: Typed) =>
      perform(typed, ({ asset, amount }) => ({ kind, worker: typed.worker ?? '', payee: typed.payee ?? '', token: asset.token, amount })),
    );
  withChannel(withAsset(act('release', 'escrow.help.release'))).action((typed: Typed) =>
    perform(typed, ({ asset }) => ({ kind: 'release', worker: typed.worker ?? '', payee: typed.payee ?? '', token: asset.token })),
  );
  for (const kind of ['authorise', 'revoke'] as const)
    act(kind, `escrow.help.${kind}`)
      .option('--signer <address>', message('escrow.help.signer'), address)
      .action((typed: Typed) => perform(typed, ({ coordinator: own }) => ({ kind, signer: typed.signer ?? own })));

  function act(name: string, help: Parameters<typeof message>[0]): Command {
    return escrow
      .command(name)
      .description(message(help))
      .option('--yes', message('escrow.help.yes'))
      .option('--password-stdin', message('cli.help.password-stdin'));
  }

  function perform(typed: Typed, actOf: Parameters<Awaited<ReturnType<typeof commands>>['runEscrowAct']>[2]): Promise<void> {
    const act: ActTyped = {
      ...{ amount: typed.amount ?? null, asset: typed.asset ?? null, yes: typed.yes ?? false, passwordStdin: typed.passwordStdin ?? false },
    };
    return run(async (context) => (await commands()).runEscrowAct(context, act, actOf));
  }
}

function addKeyCommands(escrow: Command, run: Run): void {
  const key = escrow.command('key').description(message('escrow.help.key'));
  key
    .command('create')
    .description(message('escrow.help.key-create'))
    .option('--password-stdin', message('cli.help.password-stdin'))
    .option('--reveal', message('escrow.help.reveal'))
    .action(({ passwordStdin = false, reveal = false }: { passwordStdin?: boolean; reveal?: boolean }) =>
      run(async (context) => (await commands()).runPayerCreate(context, { passwordStdin, reveal })),
    );
  key
    .command('import')
    .description(message('escrow.help.key-import'))
    .addOption(new Option('--from <kind>', message('escrow.help.key-from')).choices(['words', 'key']).default('words'))
    .option('--password-stdin', message('cli.help.password-stdin'))
    .action(({ from, passwordStdin = false }: { from: 'words' | 'key'; passwordStdin?: boolean }) =>
      run(async (context) => (await commands()).runPayerImport(context, { kind: from, passwordStdin })),
    );
}

const withAsset = (command: Command) => command.option('--asset <token>', message('escrow.help.asset'));
const withAmount = (command: Command) => withAsset(command).requiredOption('--amount <amount>', message('escrow.help.amount'));
const withChannel = (command: Command) =>
  command
    .requiredOption('--worker <address>', message('escrow.help.worker'), address)
    .requiredOption('--payee <address>', message('escrow.help.payee'), address);

interface Token {
  address: string;
  symbol: string;
  decimals: number;
}

function token(typed: string, before: Token[] = []): Token[] {
  const [, named = '', symbol = '', decimals = ''] = /^(0x[0-9a-fA-F]{40}):([^:]{1,32}):(\d{1,2})$/.exec(typed) ?? [];
  if (named === '' || Number(decimals) > 36) throw new InvalidArgumentError(message('escrow.usage.token'));
  return [...before, { address: named, symbol, decimals: Number(decimals) }];
}

function collect(value: string, before: string[] = []): string[] {
  if (!/^https?:$/.test(URL.parse(value)?.protocol ?? '')) throw new InvalidArgumentError(message('escrow.usage.rpc'));
  return [...before, value];
}

function address(value: string): string {
  if (!Address.safeParse(value).success) throw new InvalidArgumentError(message('escrow.usage.address'));
  return value;
}
