import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';

export async function runEarnings({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const assets = await withProgress(terminal, () => message('cli.progress.reading'), reach.client.call('earnings.summary', {}));
    for (const asset of assets) terminal.emit(asset);
    if (assets.length === 0) terminal.text(message('cli.earnings.none'));
    else for (const line of earningsLines(assets, terminal.bold)) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
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
