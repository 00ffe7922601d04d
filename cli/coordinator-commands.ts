import { type Command, InvalidArgumentError, Option } from 'commander';
import { Sha256 } from '../core/contract/digest.ts';
import { message } from '../core/contract/messages.ts';
import { Address } from '../core/contract/receipt.ts';
import { baseUnits, duration, keyName, wholeNumber } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import type { CoordinatorChoices } from './commands/coordinator.ts';
import { addEscrowCommands } from './escrow-commands.ts';

/** HTTPS; the three after it are NATS, NATS over WebSocket, and the loopback's. */
const PORT = 7422;
const DAY_MS = 86_400_000;
const MAX_INVITATION_MS = 30 * DAY_MS;

interface CoordinatorOptions {
  port?: number;
  name?: string;
  operator?: string;
  terms?: string;
  nats?: string[];
  natsCreds?: string;
  websocket?: true;
  restoreLog?: true;
  advertise?: string[];
  announce: boolean;
  model?: string[];
}

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;
const commands = () => import('./commands/coordinator.ts');
const trusting = () => import('./commands/coordinator-calibrate.ts');
const keys = () => import('./commands/coordinator-keys.ts');

/** `hearthlend coordinator …`, and the operator's part of `hearthlend network …` */
export function addCoordinatorCommands(program: Command, run: Run): void {
  const coordinator = program
    .command('coordinator')
    .description(message('coordinator.help'))
    .option('--port <port>', message('coordinator.help.port', { port: String(PORT) }), wholeNumber(0, 65_532))
    .option('--name <name>', message('coordinator.help.name'), text(64))
    .option('--operator <text>', message('coordinator.help.operator'), text(200))
    .option('--terms <file>', message('coordinator.help.terms'))
    .option('--websocket', message('coordinator.help.websocket'))
    .option('--advertise <host>', message('coordinator.help.advertise'), hosts)
    .option('--model <folder>', message('coordinator.help.model'), collect)
    .option('--no-announce', message('coordinator.help.no-announce'))
    .addOption(new Option('--nats <url>', message('coordinator.help.nats')).argParser(servers).conflicts('websocket'))
    .option('--restore-log', message('coordinator.help.restore-log'))
    .option('--nats-creds <file>', message('coordinator.help.nats-creds'))
    .action((options: CoordinatorOptions, command: Command) => {
      if ((options.nats === undefined) !== (options.natsCreds === undefined)) command.error(message('coordinator.help.nats-pair'));
      return run(async (context) => (await commands()).runCoordinator(context, choicesOf(options)));
    });
  coordinator
    .command('status')
    .description(message('coordinator.help.status'))
    .action(() => run(async (context) => (await commands()).runCoordinatorStatus(context)));
  coordinator
    .command('open')
    .description(message('coordinator.help.open'))
    .action(() => run(async (context) => (await commands()).runCoordinatorOpen(context)));
  coordinator
    .command('jobs')
    .description(message('coordinator.help.jobs'))
    .action(() => run(async (context) => (await commands()).runCoordinatorJobs(context)));
  coordinator
    .command('cancel')
    .argument('<job>', message('coordinator.help.job'))
    .description(message('coordinator.help.cancel'))
    .action((job: string) => run(async (context) => (await commands()).runCoordinatorCancel(context, job)));
  coordinator
    .command('workers')
    .description(message('coordinator.help.workers'))
    .action(() => run(async (context) => (await commands()).runCoordinatorWorkers(context)));
  coordinator
    .command('revoke')
    .argument('<worker>', message('coordinator.help.worker'), address)
    .description(message('coordinator.help.revoke'))
    .action((worker: string) => run(async (context) => (await commands()).runCoordinatorRevoke(context, worker)));
  coordinator
    .command('calibrate')
    .description(message('coordinator.help.calibrate'))
    .option('--model <digest>', message('coordinator.help.calibrate-model'), digest)
    .option('--samples <n>', message('coordinator.help.calibrate-samples'), wholeNumber(1, 64), 8)
    .option('--workers', message('coordinator.help.calibrate-workers'), false)
    .action((options: { model?: string; samples: number; workers: boolean }) =>
      run(async (context) => (await trusting()).runCalibrate(context, { ...options, model: options.model ?? null })),
    );
  coordinator
    .command('appeals')
    .description(message('coordinator.help.appeals'))
    .action(() => run(async (context) => (await trusting()).runAppeals(context)));
  coordinator
    .command('reinstate')
    .argument('<worker>', message('coordinator.help.worker'), address)
    .description(message('coordinator.help.reinstate'))
    .action((worker: string) => run(async (context) => (await trusting()).runReinstate(context, worker)));
  coordinator
    .command('share')
    .description(message('coordinator.help.share'))
    .requiredOption('--out <file>', message('coordinator.help.share-out'))
    .action((options: { out: string }) => run(async (context) => (await commands()).runCoordinatorShare(context, options.out)));
  addKeyCommands(coordinator, run);
  addEscrowCommands(coordinator, run);
  const network = program.commands.find((command) => command.name() === 'network') ?? program.command('network');
  network
    .command('invite')
    .description(message('coordinator.help.invite'))
    .addOption(new Option('--expires <duration>', message('coordinator.help.expires')).argParser(duration(1000, MAX_INVITATION_MS)))
    .action((options: { expires?: number }) => run(async (context) => (await commands()).runInvite(context, options.expires ?? DAY_MS)));
}

/** `hearthlend coordinator key …` */
function addKeyCommands(coordinator: Command, run: Run): void {
  const key = coordinator.command('key').description(message('coordinator.help.key'));
  key
    .command('create')
    .description(message('coordinator.help.key-create'))
    .option('--name <name>', message('cli.help.key-name'))
    .option('--budget <amount>', message('coordinator.help.budget'), baseUnits)
    .option('--ca-out <file>', message('coordinator.help.ca-out'))
    .action((options: { budget?: string; caOut?: string }, command: Command) => {
      // The network's own --name, further up, takes it.
      const { name } = command.optsWithGlobals<{ name?: string }>();
      if (name === undefined) command.error(message('coordinator.help.key-unnamed'));
      const checked = keyName(name);
      return run(async (context) =>
        (await keys()).runCoordinatorKeyCreate(context, { name: checked, budget: options.budget ?? null, caOut: options.caOut ?? null }),
      );
    });
  key
    .command('list')
    .description(message('coordinator.help.key-list'))
    .action(() => run(async (context) => (await keys()).runCoordinatorKeyList(context)));
  key
    .command('remove')
    .argument('<key>', message('cli.help.key-wanted'))
    .description(message('cli.help.key-remove'))
    .action((wanted: string) => run(async (context) => (await keys()).runCoordinatorKeyRemove(context, wanted)));
}

/** An option that may be given several times. */
function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function choicesOf(options: CoordinatorOptions): CoordinatorChoices {
  return {
    port: options.port ?? PORT,
    name: options.name ?? null,
    operator: options.operator ?? null,
    terms: options.terms ?? null,
    websocket: options.websocket ?? false,
    restoreLog: options.restoreLog ?? false,
    advertise: options.advertise ?? [],
    announced: options.announce,
    models: options.model ?? [],
    nats: options.nats === undefined ? null : { servers: options.nats, credentials: options.natsCreds ?? '' },
  };
}

function text(most: number): (value: string) => string {
  return (value) => {
    if (value.trim() === '' || value.length > most) throw new InvalidArgumentError(message('coordinator.help.text', { most }));
    return value.trim();
  };
}

function hosts(value: string, before: string[] = []): string[] {
  if (!/^([a-zA-Z0-9.-]{1,253}|[0-9a-fA-F:.]{2,45})$/.test(value)) throw new InvalidArgumentError(message('coordinator.help.no-host'));
  return [...before, value.toLowerCase()];
}

function servers(value: string): string[] {
  const urls = value.split(',').map((url) => URL.parse(url.trim()));
  const [first] = urls;
  const known = urls.every((url) => url !== null && /^(tls|nats|wss):$/.test(url.protocol) && url.protocol === first?.protocol);
  if (!known) throw new InvalidArgumentError(message('coordinator.help.no-servers'));
  return value.split(',').map((url) => url.trim());
}

function digest(value: string): string {
  if (!Sha256.safeParse(value).success) throw new InvalidArgumentError(message('coordinator.help.no-model'));
  return value;
}

function address(value: string): string {
  if (!Address.safeParse(value).success) throw new InvalidArgumentError(message('coordinator.help.no-worker'));
  return value;
}
