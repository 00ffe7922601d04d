import type { EarningsQuery } from '../../core/contract/earnings.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { withAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { runEarningsReport, runForecast, runReconcile } from './earnings-report.ts';

export const EARNINGS_BY = ['hour', 'day', 'network', 'model', 'device'] as const satisfies EarningsQuery['by'][];

/** The flags of the command line: with none of them the four numbers since the beginning. */
export interface EarningsOptions {
  by?: EarningsQuery['by'];
  from?: number;
  to?: number;
  zone?: string;
  forecast?: number;
  reconcile?: true;
}

export async function runEarnings(context: Context, { by, from, to, zone, forecast, reconcile }: EarningsOptions): Promise<ExitCode> {
  const asked = [by, forecast, reconcile].filter((each) => each !== undefined).length;
  const bounds = [from, to, zone].some((each) => each !== undefined);
  if (asked > 1 || (bounds && by === undefined)) throw new HearthlendError('USAGE', { detail: message('cli.usage.earnings-one') });
  if (by !== undefined) return runEarningsReport(context, { by, from: from ?? null, to: to ?? null, zone: zone ?? null });
  if (forecast !== undefined) return runForecast(context, forecast);
  return reconcile === undefined ? runSummary(context) : runReconcile(context);
}

async function runSummary(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  return withAgent(context, async ({ client }) => {
    const assets = await withProgress(terminal, () => message('cli.progress.reading'), client.call('earnings.summary', {}));
    for (const asset of assets) terminal.emit(asset);
    if (assets.length === 0) terminal.text(message('cli.earnings.none'));
    else for (const line of earningsLines(assets, terminal.bold)) terminal.text(line);
  });
}

/** The four numbers, one asset a line. Practice is named and has no unit of money. */
function earningsLines(assets: readonly AssetEarnings[], bold: (text: string) => string): string[] {
  const header = [
    'cli.earnings.asset',
    'cli.earnings.expected',
    'cli.earnings.accepted',
    'cli.earnings.promised',
    'cli.earnings.paid',
  ] as const;
  const rows = assets.map((asset) => {
    const show = (amount: string) => formatBaseUnits(BigInt(amount), asset.decimals);
    const name = asset.practice ? message('cli.earnings.practice') : asset.symbol;
    return [name, `≈ ${show(asset.expected)}`, show(asset.accepted), show(asset.promised), show(asset.paid)];
  });
  const [head = '', ...body] = alignColumns([header.map((key) => message(key)), ...rows], [1, 2, 3, 4]);
  const today = assets.map((asset) =>
    message('cli.earnings.today', {
      asset: asset.practice ? message('cli.earnings.practice') : asset.symbol,
      amount: formatBaseUnits(BigInt(asset.acceptedToday), asset.decimals),
      tasks: asset.acceptedShardsToday,
      allTasks: asset.acceptedShards,
    }),
  );
  return [bold(head), ...body, '', ...today];
}
