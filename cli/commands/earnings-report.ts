import type {
  AssetSums,
  EarningsForecast,
  EarningsQuery,
  EarningsReport,
  EarningsRow,
  Reconciliation,
} from '../../core/contract/earnings.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import { withAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';

const DAY_MS = 86_400_000;

export interface EarningsReportOptions {
  by: EarningsQuery['by'];
  from: number | null;
  to: number | null;
  /** IANA; null: this machine's. */
  zone: string | null;
}

/** What was earned in a time, in rows. Without a time: the last day by the hour, the last thirty by the day, all of it by what it was for. */
export async function runEarningsReport(context: Context, { by, from, to, zone }: EarningsReportOptions): Promise<ExitCode> {
  const { world, terminal } = context;
  return withAgent(context, async ({ client }) => {
    const end = to ?? world.clock();
    const back = by === 'hour' ? DAY_MS : by === 'day' ? 29 * DAY_MS : end;
    const query = { by, from: from ?? Math.max(0, end - back), to: end, zone: zone ?? ownZone() };
    const report = await withProgress(terminal, () => message('cli.progress.reading'), client.call('earnings.report', query));
    for (const row of report.rows) terminal.emit(row);
    terminal.emit({ event: 'total', ...report.query, since: report.since, ...report.total });
    for (const line of reportLines(report, terminal.bold)) terminal.text(line);
  });
}

export async function runForecast(context: Context, days: number): Promise<ExitCode> {
  const { terminal } = context;
  return withAgent(context, async ({ client }) => {
    const asked = client.call('earnings.forecast', { days, zone: ownZone() });
    const forecast = await withProgress(terminal, () => message('cli.progress.reading'), asked);
    terminal.emit(forecast);
    for (const line of forecastLines(forecast)) terminal.text(line);
  });
}

export async function runReconcile(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  return withAgent(context, async ({ client }) => {
    const found = await withProgress(terminal, () => message('cli.progress.reading'), client.call('earnings.reconcile', {}));
    for (const network of found.networks) terminal.emit(network);
    for (const line of reconciledLines(found)) terminal.text(line);
  });
}

function ownZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function reportLines({ rows, total, query }: EarningsReport, bold: (text: string) => string): string[] {
  const known = rows.filter(({ money, practice, energy }) => money.length > 0 || practice.length > 0 || energy.knownShards > 0);
  if (known.length === 0) return [message('cli.earnings.none-then')];
  const header = [
    message(`cli.earnings.by.${query.by}`),
    ...(['asset', 'tasks', 'expected', 'accepted', 'promised', 'paid', 'energy', 'net'] as const).map((name) =>
      message(`cli.earnings.${name}`),
    ),
  ];
  const body = [...known.map((row) => ({ name: nameOf(row, query.zone), row })), { name: message('cli.earnings.total'), row: total }];
  const [head = '', ...lines] = alignColumns([header, ...body.flatMap(({ name, row }) => cells(name, row))], [2, 3, 4, 5, 6, 7, 8]);
  return [bold(head), ...lines];
}

function nameOf({ key }: EarningsRow, zone: string): string {
  if (key.by === 'network') return key.network;
  if (key.by === 'model') return key.name ?? key.model.slice(0, 12);
  if (key.by === 'device')
    return key.name ?? (key.device === 'cpu' ? message('cli.earnings.device-cpu') : key.device) ?? message('cli.earnings.device-unknown');
  const local = new Intl.DateTimeFormat('sv-SE', {
    timeZone: zone,
    dateStyle: 'short',
    ...(key.by === 'hour' ? { timeStyle: 'short' } : {}),
  });
  return local.format(key.from);
}

/** One line an asset, money first; what isn't the asset's own stands on the first. */
function cells(name: string, { money, practice, energy, net }: Omit<EarningsRow, 'key'>): string[][] {
  const measured = energy.measuredWh === null && energy.estimatedWh === null ? null : (energy.measuredWh ?? 0) + (energy.estimatedWh ?? 0);
  const used = measured === null ? message('cli.earnings.unknown') : `${energy.estimatedWh === null ? '' : '≈ '}${rounded(measured)} Wh`;
  const left = net.net === null ? message('cli.earnings.unknown') : `${rounded(net.net)} ${net.currency}`;
  const assets = [
    ...money.map((asset) => ({ asset, symbol: asset.symbol })),
    ...practice.map((asset) => ({ asset, symbol: message('cli.earnings.practice') })),
  ];
  if (assets.length === 0) return [[name, '', '', '', '', '', '', used, left]];
  return assets.map(({ asset, symbol }, index) => [
    index === 0 ? name : '',
    symbol,
    String(asset.acceptedShards),
    asset.expected === '0' ? '0' : `≈ ${amount(asset, asset.expected)}`,
    amount(asset, asset.accepted),
    amount(asset, asset.promised),
    amount(asset, asset.paid),
    ...(index === 0 ? [used, left] : ['', '']),
  ]);
}

function forecastLines({ assets, reason, days }: EarningsForecast): string[] {
  if (reason !== null) return [messageOf(reason)];
  return assets.flatMap((asset) => [
    message('cli.earnings.forecast', { days, symbol: asset.symbol, least: amount(asset, asset.least), most: amount(asset, asset.most) }),
    asset.held === null || asset.missedBy === null
      ? message('cli.earnings.forecast-untried')
      : message('cli.earnings.forecast-error', { times: asset.past.length, held: asset.held, missed: asset.missedBy }),
  ]);
}

function reconciledLines({ networks }: Reconciliation): string[] {
  if (networks.length === 0) return [message('cli.earnings.nothing-paid')];
  return networks.flatMap((network) => {
    const show = (units: string) => amount(network, units);
    const numbers = {
      accepted: show(network.accepted),
      promised: show(network.promised),
      paid: show(network.paid),
      expected: show(network.expected),
    };
    return [
      message('cli.earnings.reconciled', { network: network.network, symbol: network.symbol, ...numbers }),
      ...network.divergences.map(
        ({ kind, amount: units, channel }) =>
          `  ${message(`cli.earnings.divergence.${kind}`, { amount: show(units), symbol: network.symbol })}${channel === null ? '' : ` (${channel.slice(0, 10)}…)`}`,
      ),
    ];
  });
}

function amount({ decimals }: Pick<AssetSums, 'decimals'>, units: string | null): string {
  return units === null ? message('cli.earnings.unknown') : formatBaseUnits(BigInt(units), decimals);
}

/** Three digits are as much as a sensor is good for. */
function rounded(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(3)));
}
