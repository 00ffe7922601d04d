import { type Command, InvalidArgumentError, Option } from 'commander';
import { message } from '../core/contract/messages.ts';
import { Address } from '../core/contract/receipt.ts';
import { duration, wholeNumber } from './commands/arguments.ts';
import type { Context, ExitCode } from './commands/command.ts';
import type { CoordinatorChoices } from './commands/coordinator.ts';

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
  advertise?: string[];
  announce: boolean;
}

type Run = (command: (context: Context) => Promise<ExitCode>) => Promise<void>;
const commands = () => import('./commands/coordinator.ts');

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
    .option('--no-announce', message('coordinator.help.no-announce'))
    .addOption(new Option('--nats <url>', message('coordinator.help.nats')).argParser(servers).conflicts('websocket'))
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
    .command('workers')
    .description(message('coordinator.help.workers'))
    .action(() => run(async (context) => (await commands()).runCoordinatorWorkers(context)));
  coordinator
    .command('revoke')
    .argument('<worker>', message('coordinator.help.worker'), address)
    .description(message('coordinator.help.revoke'))
    .action((worker: string) => run(async (context) => (await commands()).runCoordinatorRevoke(context, worker)));
  coordinator
    .command('share')
    .description(message('coordinator.help.share'))
    .requiredOption('--out <file>', message('coordinator.help.share-out'))
    .action((options: { out: string }) => run(async (context) => (await commands()).runCoordinatorShare(context, options.out)));
  const network = program.commands.find((command) => command.name() === 'network') ?? program.command('network');
  network
    .command('invite')
    .description(message('coordinator.help.invite'))
    .addOption(new Option('--expires <duration>', message('coordinator.help.expires')).argParser(duration(1000, MAX_INVITATION_MS)))
    .action((options: { expires?: number }) => run(async (context) => (await commands()).runInvite(context, options.expires ?? DAY_MS)));
}

function choicesOf(options: CoordinatorOptions): CoordinatorChoices {
  return {
    port: options.port ?? PORT,
    name: options.name ?? null,
    operator: options.operator ?? null,
    terms: options.terms ?? null,
    websocket: options.websocket ?? false,
    advertise: options.advertise ?? [],
    announced: options.announce,
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

function address(value: string): string {
  if (!Address.safeParse(value).success) throw new InvalidArgumentError(message('coordinator.help.no-worker'));
  return value;
}
