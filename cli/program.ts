import { Argument, Command, CommanderError, Option } from 'commander';
import { HearthlendError } from '../core/contract/errors.ts';
import { type MessageKey, message } from '../core/contract/messages.ts';
import { duration, instant, promptText, temperature, wholeNumber } from './commands/arguments.ts';
import { runBackendAdd } from './commands/backend.ts';
import { runBenchCommand } from './commands/bench.ts';
import type { Context, ExitCode } from './commands/command.ts';
import { runOpen, runPause, runResume, runStop } from './commands/control.ts';
import { runDiagnostics } from './commands/diagnostics.ts';
import { runDoctor } from './commands/doctor.ts';
import { EARNINGS_BY, type EarningsOptions, runEarnings } from './commands/earnings.ts';
import { addIdentityCommands } from './commands/identity-program.ts';
import { runExport, runVerify } from './commands/ledger.ts';
import { runPrompt } from './commands/prompt.ts';
import { runProve, runVerifyProof } from './commands/prove.ts';
import { runSettingsSet, runSettingsShow } from './commands/settings.ts';
import { runStart } from './commands/start.ts';
import { addWalletCommands } from './commands/wallet-program.ts';
import { addCoordinatorCommands } from './coordinator-commands.ts';
import { addJobCommands } from './job-commands.ts';
import { addKeyCommands } from './key-commands.ts';
import { addModelCommands } from './model-commands.ts';
import { addNetworkCommands } from './network-commands.ts';
import { addRulesCommands } from './rules-commands.ts';
import { createTerminal } from './terminal/terminal.ts';
import type { World } from './world.ts';

const MAX_COUNT = 1_000_000;
const MAX_SECONDS = 86_400;
const MAX_OVERRIDE_SECONDS = 604_800;

/** Runs one command line, without the program's own name. Never throws: what went wrong has been told, and is in the exit code. */
export async function runCommandLine(argv: readonly string[], world: World): Promise<ExitCode> {
  // Wrong usage is told as JSON too, and options can't be trusted to have been parsed then.
  const json = argv.includes('--json');
  const styled = world.stdout.isTTY === true && !world.env.NO_COLOR;
  const terminal = createTerminal({ stdout: world.stdout, stderr: world.stderr, json, styled, clock: world.clock });
  let exitCode: ExitCode = 0;
  const program = buildProgram(world, async (dataDirOption, command) => {
    const dataDir = world.dataDir(dataDirOption);
    exitCode = await command({ world, terminal, dataDir });
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown) : thrown;
    if (error === 'help' || error === 'no-command') return error === 'help' ? 0 : 2;
    terminal.fail(error);
    return error instanceof HearthlendError && error.code === 'USAGE' ? 2 : 1;
  }
}

/** Commander ends by throwing: after help and version with success, else for wrong usage. */
function usageError(thrown: CommanderError): 'help' | 'no-command' | HearthlendError {
  if (thrown.exitCode === 0) return 'help';
  // No command was given, and the help is on stderr already.
  if (thrown.code === 'commander.help') return 'no-command';
  const detail = thrown.message.replace(/^error: /, '');
  return new HearthlendError('USAGE', { detail: detail.charAt(0).toUpperCase() + detail.slice(1) });
}

type Act = (dataDirOption: string | undefined, command: (context: Context) => Promise<ExitCode>) => Promise<void>;

const TITLES: Record<string, MessageKey> = {
  'Usage:': 'cli.help.usage',
  'Arguments:': 'cli.help.arguments',
  'Options:': 'cli.help.options',
  'Global Options:': 'cli.help.global-options',
  'Commands:': 'cli.help.commands',
};

function buildProgram(world: World, act: Act): Command {
  const program = new Command('hearthlend')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void world.stdout.write(text),
      writeErr: (text) => void world.stderr.write(text),
      outputError: () => undefined,
    })
    .configureHelp({ showGlobalOptions: true, styleTitle: (title) => (title in TITLES ? message(TITLES[title] as MessageKey) : title) })
    .description(message('cli.help.program'))
    .helpOption('-h, --help', message('cli.help.help'))
    .helpCommand(false)
    .version(world.version, '-V, --version', message('cli.help.version'))
    .option('--data-dir <folder>', message('cli.help.data-dir'))
    .option('--json', message('cli.help.json'));
  const run = (command: (context: Context) => Promise<ExitCode>) => act(program.opts<{ dataDir?: string }>().dataDir, command);

  program
    .command('start')
    .description(message('cli.help.start'))
    .option('--headless', message('cli.help.headless'))
    .option('--network <id>', message('cli.help.network'), collect)
    .option('--shards <count>', message('cli.help.shards'), wholeNumber(1, MAX_COUNT))
    .option('--port <port>', message('cli.help.port'), wholeNumber(1, 65_535))
    .action((options: { headless?: true; network?: string[]; shards?: number; port?: number }) =>
      run((context) =>
        runStart(context, {
          headless: options.headless ?? false,
          networks: options.network ?? null,
          shards: options.shards ?? null,
          port: options.port ?? null,
        }),
      ),
    );
  program
    .command('open')
    .description(message('cli.help.open'))
    .action(() => run(runOpen));
  program
    .command('pause')
    .description(message('cli.help.pause'))
    .addOption(new Option('--for <duration>', message('cli.help.for')).argParser(duration(1000, MAX_SECONDS * 1000)))
    .addOption(new Option('--until-idle', message('cli.help.until-idle')).conflicts(['for', 'afterTask']))
    .addOption(new Option('--after-task', message('cli.help.after-task')).conflicts('for'))
    .action((options: { for?: number; untilIdle?: true; afterTask?: true }) =>
      run((context) =>
        runPause(context, { forMs: options.for ?? null, untilIdle: options.untilIdle ?? false, finish: options.afterTask ?? false }),
      ),
    );
  program
    .command('resume')
    .description(message('cli.help.resume'))
    .option('--for <duration>', message('cli.help.resume-for'), duration(60_000, MAX_OVERRIDE_SECONDS * 1000))
    .action((options: { for?: number }) => run((context) => runResume(context, options.for ?? null)));
  program
    .command('stop')
    .description(message('cli.help.stop'))
    .option('--now', message('cli.help.now'))
    .action((options: { now?: true }) => run((context) => runStop(context, options.now ?? false)));
  program
    .command('earnings')
    .description(message('cli.help.earnings'))
    .addOption(new Option('--by <rows>', message('cli.help.earnings-by')).choices(EARNINGS_BY))
    .option('--from <date>', message('cli.help.from'), instant('start'))
    .option('--to <date>', message('cli.help.to'), instant('end'))
    .option('--zone <name>', message('cli.help.earnings-zone'))
    .option('--forecast <days>', message('cli.help.earnings-forecast'), wholeNumber(1, 31))
    .option('--reconcile', message('cli.help.earnings-reconcile'))
    .action((options: EarningsOptions) => run((context) => runEarnings(context, options)));
  program
    .command('doctor')
    .description(message('cli.help.doctor'))
    .option('--isolation', message('cli.help.isolation'))
    .action((options: { isolation?: true }) => run((context) => runDoctor(context, options.isolation ?? false)));
  program
    .command('diagnostics')
    .description(message('cli.help.diagnostics'))
    .option('--out <file>', message('cli.help.diagnostics-out'))
    .option('--yes', message('cli.help.yes'))
    .action((options: { out?: string; yes?: true }) =>
      run((context) => runDiagnostics(context, { out: options.out ?? null, yes: options.yes ?? false })),
    );
  program
    .command('bench')
    .description(message('cli.help.bench'))
    .option('--quick', message('cli.help.quick'))
    .option('--out <file>', message('cli.help.bench-out'))
    .action((options: { quick?: true; out?: string }) =>
      run((context) => runBenchCommand(context, { quick: options.quick ?? false, out: options.out ?? null })),
    );
  addBackendCommands(program, run);
  addPromptCommand(program, run);
  addJobCommands(program, run);
  addModelCommands(program, run);
  addKeyCommands(program, run);
  addLedgerCommands(program, run);
  addSettingsCommands(program, run);
  addNetworkCommands(program, run);
  addRulesCommands(program, run);
  addWalletCommands(program, run);
  addIdentityCommands(program, run);
  addCoordinatorCommands(program, run);
  return program;
}

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;

function addBackendCommands(program: Command, run: Run): void {
  program
    .command('backend')
    .description(message('cli.help.backend'))
    .command('add')
    .addArgument(new Argument('<backend>', message('cli.help.backend-name')).choices(['cuda']))
    .description(message('cli.help.backend-add'))
    .option('--feed <url>', message('cli.help.backend-feed'))
    .action((_backend: string, options: { feed?: string }) => run((context) => runBackendAdd(context, options.feed ?? null)));
}

function addPromptCommand(program: Command, run: Run): void {
  program
    .command('prompt')
    .argument('<text>', message('cli.help.prompt-text'), promptText)
    .description(message('cli.help.prompt'))
    .requiredOption('--model <path>', message('cli.help.prompt-model'))
    .option('--max-tokens <count>', message('cli.help.max-tokens'), wholeNumber(1, MAX_COUNT))
    .option('--temperature <number>', message('cli.help.temperature'), temperature)
    .option('--seed <number>', message('cli.help.seed'), wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .action((prompt: string, options: { model: string; maxTokens?: number; temperature?: number; seed?: number }) =>
      run((context) =>
        runPrompt(context, {
          model: options.model,
          prompt,
          maxNewTokens: options.maxTokens ?? 256,
          temperature: options.temperature ?? 0,
          seed: options.seed ?? null,
        }),
      ),
    );
}

interface ExportFlags {
  format: 'csv' | 'json';
  from?: number;
  to?: number;
  out?: string;
  tax?: true;
}

function addLedgerCommands(program: Command, run: Run): void {
  const ledger = program.command('ledger').description(message('cli.help.ledger'));
  ledger
    .command('verify')
    .description(message('cli.help.ledger-verify'))
    .action(() => run(runVerify));
  ledger
    .command('prove')
    .description(message('cli.help.ledger-prove'))
    .requiredOption('--receipt <number>', message('cli.help.receipt'), wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--network <id>', message('cli.help.prove-network'))
    .option('--worker <address>', message('cli.help.prove-worker'))
    .option('--out <file>', message('cli.help.out'))
    .action(({ receipt, network, worker, out }: { receipt: number; network?: string; worker?: string; out?: string }) =>
      run((context) => runProve(context, { receipt, network: network ?? null, worker: worker ?? null, out: out ?? null })),
    );
  program
    .command('verify')
    .argument('<file>', message('cli.help.proof-file'))
    .description(message('cli.help.verify'))
    .action((file: string) => run((context) => runVerifyProof(context, file)));
  ledger
    .command('export')
    .description(message('cli.help.ledger-export'))
    .addOption(new Option('--format <format>', message('cli.help.format')).choices(['csv', 'json']).makeOptionMandatory())
    .option('--from <date>', message('cli.help.from'), instant('start'))
    .option('--to <date>', message('cli.help.to'), instant('end'))
    .option('--tax', message('cli.help.tax'))
    .option('--out <file>', message('cli.help.out'))
    .action(({ format, from, to, out, tax }: ExportFlags) =>
      run((context) => runExport(context, { format, from: from ?? null, to: to ?? null, out: out ?? null, tax: tax ?? false })),
    );
}

function addSettingsCommands(program: Command, run: Run): void {
  const settings = program.command('settings').description(message('cli.help.settings'));
  settings
    .command('show')
    .description(message('cli.help.settings-show'))
    .action(() => run(runSettingsShow));
  settings
    .command('set')
    .argument('<name>', message('cli.help.settings-name'))
    .argument('<value>', message('cli.help.settings-value'))
    .description(message('cli.help.settings-set'))
    .action((name: string, value: string) => run((context) => runSettingsSet(context, name, value)));
}

/** An option that may be given several times. */
function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
