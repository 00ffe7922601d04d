import { join, resolve } from 'node:path';
import { renderUnicodeCompact } from 'uqr';
import { type MessageKey, message, messageOf } from '../../core/contract/messages.ts';
import { formatBaseUnits, isPracticeCredit } from '../../core/contract/money.ts';
import type { EscrowStatus } from '../../core/contract/operating.ts';
import { askCoordinator } from '../operator/reach.ts';
import { OPERATOR_FOLDER, type Operated, type OperateRequest } from '../operator/request.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import { showWindow } from '../window/show.ts';
import type { Context, ExitCode } from './command.ts';

/** The invitation that is shown at the start is for a machine that is at hand. */
const FIRST_INVITATION_MS = 3_600_000;
/** How long "leave now" waits. */
const LEAVE_WITHIN_MS = 10_000;

const folderOf = ({ dataDir }: Context) => join(dataDir, OPERATOR_FOLDER);

export type CoordinatorChoices = Omit<OperateRequest, 'dir' | 'version'>;

/** Runs a network's coordinator in the foreground until it is asked to stop. */
export async function runCoordinator(context: Context, choices: CoordinatorChoices): Promise<ExitCode> {
  const { world, terminal } = context;
  const at = (path: string | null) => (path === null ? null : resolve(world.cwd, path));
  const request: OperateRequest = {
    ...choices,
    ...{ dir: folderOf(context), version: world.version, terms: at(choices.terms) },
    models: choices.models.map((path) => resolve(world.cwd, path)),
    nats: choices.nats === null ? null : { ...choices.nats, credentials: at(choices.nats.credentials) as string },
  };
  const stop = Promise.withResolvers<'stop'>();
  let asked = false;
  const end = world.signals.on(() => {
    // The second one doesn't wait.
    if (asked) process.exit(1);
    asked = true;
    stop.resolve('stop');
  });
  try {
    const operated = await withProgress(terminal, () => message('coordinator.starting'), world.operate(request));
    try {
      await tellStarted(context, operated);
      await Promise.race([stop.promise, operated.failed]);
      terminal.note(message('coordinator.stopping'));
    } finally {
      const late = setTimeout(() => process.exit(1), LEAVE_WITHIN_MS).unref();
      await operated.close();
      clearTimeout(late);
    }
    terminal.emit({ event: 'stopped' });
    return 0;
  } finally {
    end();
  }
}

async function tellStarted({ terminal }: Context, operated: Operated): Promise<void> {
  const status = await operated.handlers.status({});
  const invitation = await operated.handlers.invite({ lastingMs: FIRST_INVITATION_MS });
  terminal.emit({ event: 'started', ...status, invitation });
  const [https = ''] = status.https;
  const [server = ''] = status.servers;
  terminal.text(terminal.bold(message('coordinator.started', { id: status.id, operator: status.operator })));
  terminal.text(message('coordinator.reached', { https, server }));
  terminal.text(message('coordinator.metrics', { address: status.metrics }));
  terminal.text(message('coordinator.page-at'));
  if (operated.wall === 'none') terminal.text(message('coordinator.no-wall'));
  terminal.text('');
  tellInvitation(terminal, invitation);
  terminal.text('');
  terminal.text(message('coordinator.goes-on'));
}

function tellInvitation(terminal: Context['terminal'], { link, expiresAt }: { link: string; expiresAt: number }): void {
  terminal.text(message('coordinator.invitation', { until: new Date(expiresAt).toISOString() }));
  terminal.text('');
  terminal.text(`  hearthlend network join "${link}"`);
  terminal.text('');
  terminal.text(renderUnicodeCompact(link, { border: 2 }));
}

/** A new invitation for one machine. */
export async function runInvite(context: Context, lastingMs: number): Promise<ExitCode> {
  const invitation = await askCoordinator(folderOf(context), 'invite', { lastingMs });
  context.terminal.emit({ event: 'invitation', ...invitation });
  tellInvitation(context.terminal, invitation);
  return 0;
}

export async function runCoordinatorStatus(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  const status = await askCoordinator(folderOf(context), 'status', {});
  terminal.emit({ event: 'status', ...status });
  const { workers, jobs, shards, audits, money } = status;
  const rows: [MessageKey, string][] = [
    ['coordinator.status.network', `${status.id} (${status.operator})`],
    ['coordinator.status.since', new Date(status.startedAt).toISOString()],
    ['coordinator.status.joining', status.https[0] ?? ''],
    ['coordinator.status.nats', status.servers[0] ?? ''],
    ['coordinator.status.fingerprint', status.fingerprint],
    ['coordinator.status.metrics', status.metrics],
    ['coordinator.status.coordinators', String(status.coordinators)],
    ['coordinator.status.workers', message('coordinator.status.workers-text', { ...workers, invitations: status.openInvitations })],
    ['coordinator.status.jobs', message('coordinator.status.jobs-text', jobs)],
    ['coordinator.status.shards', message('coordinator.status.shards-text', shards)],
    ['coordinator.status.audits', message('coordinator.status.audits-text', audits)],
    ...money.map(({ asset, accepted, forAudits }): [MessageKey, string] => [
      isPracticeCredit(asset) ? 'coordinator.status.credits' : 'coordinator.status.money',
      message('coordinator.status.accepted-text', {
        accepted: `${formatBaseUnits(BigInt(accepted), 0)} ${isPracticeCredit(asset) ? '' : asset}`.trim(),
        audits: formatBaseUnits(BigInt(forAudits), 0),
      }),
    ]),
  ];
  if (status.escrow !== null) rows.push(...escrowRows(status.escrow));
  for (const line of alignColumns(rows.map(([key, value]) => [message(key), value]))) terminal.text(line);
  return 0;
}

/** What is owed against what is there for it; what the chain has not said stays unsaid. */
function escrowRows(escrow: EscrowStatus): [MessageKey, string][] {
  const { chainId, contract, payer, symbol, decimals, owed, holds, covered, missing, claimed, channels, channelsRead, trouble } = escrow;
  const amount = (units: string) => formatBaseUnits(BigInt(units), decimals);
  const unvouched = { symbol, unvouched: amount(owed.unvouched), heldBack: amount(owed.heldBack) };
  const rows: [MessageKey, string][] = [
    ['coordinator.status.escrow', message('coordinator.status.escrow-text', { contract, chainId: String(chainId), payer })],
  ];
  if (owed.total === null || owed.unclaimed === null)
    rows.push(['coordinator.status.owed', message('coordinator.status.owed-unread', unvouched)]);
  else {
    const all = { ...unvouched, total: amount(owed.total), unclaimed: amount(owed.unclaimed) };
    rows.push(['coordinator.status.owed', message('coordinator.status.owed-text', all)]);
  }
  if (holds === null) rows.push(['coordinator.status.holds', message('coordinator.status.holds-unread')]);
  else {
    const { deposit, thawing, earmarked, earmarkThawing } = holds;
    const shown = {
      deposit: amount(deposit),
      thawing: amount(thawing),
      earmarked: amount(earmarked),
      earmarkThawing: amount(earmarkThawing),
    };
    rows.push(['coordinator.status.holds', message('coordinator.status.holds-text', { symbol, ...shown })]);
  }
  if (covered !== null && owed.total !== null) {
    const of = { symbol, covered: amount(covered), total: amount(owed.total) };
    rows.push(['coordinator.status.covered', message('coordinator.status.covered-text', of)]);
  }
  if (missing !== null && missing !== '0') rows.push(['coordinator.status.missing', `${amount(missing)} ${symbol}`]);
  if (claimed !== null) rows.push(['coordinator.status.claimed', `${amount(claimed)} ${symbol}`]);
  const unread = channels - channelsRead;
  if (unread > 0) rows.push(['coordinator.status.unread', message('coordinator.status.unread-text', { count: unread })]);
  if (trouble !== null) rows.push(['coordinator.status.trouble', messageOf(trouble)]);
  return rows;
}

/** Opens the operator's page in a browser's window, or prints an address that lets one browser in. */
export async function runCoordinatorOpen(context: Context): Promise<ExitCode> {
  const dir = folderOf(context);
  const { world, terminal } = context;
  const showing = showWindow(world, terminal, dir, () => askCoordinator(dir, 'open', {}));
  await withProgress(terminal, () => message('cli.progress.window'), showing);
  return 0;
}

/** The network's jobs, newest first. */
export async function runCoordinatorJobs(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  const { jobs } = await askCoordinator(folderOf(context), 'jobs', {});
  for (const job of jobs) terminal.emit({ event: 'job', ...job });
  if (jobs.length === 0) terminal.text(message('coordinator.jobs.none'));
  const rows = jobs.map(({ id, kind, state, shards, accepted, createdAt }) => [
    ...[id, kind, message(`coordinator.jobs.state.${state}`)],
    ...[message('coordinator.jobs.done', { accepted, shards }), new Date(createdAt).toISOString()],
  ]);
  for (const line of alignColumns(rows)) terminal.text(line);
  return 0;
}

/** Ends a job that is not over; what machines compute of it is taken back. */
export async function runCoordinatorCancel(context: Context, id: string): Promise<ExitCode> {
  const { terminal } = context;
  const job = await askCoordinator(folderOf(context), 'cancel', { job: id });
  terminal.emit({ event: 'job', ...job });
  terminal.text(message('coordinator.jobs.now', { id: job.id, state: message(`coordinator.jobs.state.${job.state}`) }));
  return 0;
}

export async function runCoordinatorWorkers(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  const { workers } = await askCoordinator(folderOf(context), 'workers', {});
  for (const worker of workers) terminal.emit({ event: 'worker', ...worker });
  if (workers.length === 0) {
    terminal.text(message('coordinator.workers.none'));
    return 0;
  }
  const header = (['worker', 'joined', 'state', 'open', 'accepted', 'audits'] as const).map((column) =>
    message(`coordinator.workers.${column}`),
  );
  const now = context.world.clock();
  const rows = workers.map(({ worker, joinedAt, revokedAt, suspendedUntil, open, accepted, audits }) => {
    const suspended = suspendedUntil !== null && suspendedUntil > now;
    const state = revokedAt !== null ? 'revoked' : suspended ? 'suspended' : 'member';
    const audited = message('coordinator.workers.audits-text', { valid: audits.valid, bad: audits.bad });
    return [
      worker,
      new Date(joinedAt).toISOString(),
      message(`coordinator.workers.state.${state}`),
      String(open),
      String(accepted),
      audited,
    ];
  });
  const [head = '', ...body] = alignColumns([header, ...rows], [3, 4]);
  for (const line of [terminal.bold(head), ...body]) terminal.text(line);
  return 0;
}

/** Shuts a machine out for good: at once, and also by a new invitation. */
export async function runCoordinatorRevoke(context: Context, worker: string): Promise<ExitCode> {
  const { terminal } = context;
  const { revoked } = await askCoordinator(folderOf(context), 'revoke', { worker });
  terminal.emit({ event: 'revoked', worker, revoked });
  terminal.text(message(revoked ? 'coordinator.revoked' : 'coordinator.not-revoked', { worker }));
  return revoked ? 0 : 1;
}

/** The file by which another machine runs a coordinator of the same network. */
export async function runCoordinatorShare(context: Context, out: string): Promise<ExitCode> {
  const path = resolve(context.world.cwd, out);
  await context.world.shareNetwork(folderOf(context), path);
  context.terminal.emit({ event: 'shared', path });
  context.terminal.text(message('coordinator.shared', { path }));
  return 0;
}
