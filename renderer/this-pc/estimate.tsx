import { amountText } from '../../core/contract/amounts.ts';
import type { EarningsEstimate } from '../../core/contract/benchmark.ts';
import { message } from '../../core/contract/messages.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';

const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium' });

/** What an hour of work would bring, by each joined network's own quote and as a range with its date, and what it costs. No price, no figure. */
export function Estimate({ estimate, assets }: { estimate: EarningsEstimate; assets: readonly AssetEarnings[] }): React.ReactNode {
  const { networks, electricity } = estimate;
  return (
    <dl className="facts estimate">
      <dt>{message('pc.hour')}</dt>
      <dd>
        {networks.length === 0 && message('pc.hour.no-price')}
        {networks.map(({ network, asset, leastPerHour, mostPerHour, quotedAt }) => {
          const known = assets.find((each) => each.asset === asset);
          const amount = (baseUnits: string) => amountText(BigInt(baseUnits), known?.decimals ?? 0);
          return (
            <div key={network} className="approximate">
              {message('pc.hour.range', {
                least: amount(leastPerHour),
                most: amount(mostPerHour),
                symbol: known?.symbol ?? asset,
                network,
                date: date.format(quotedAt),
              })}
            </div>
          );
        })}
      </dd>
      <dt>{message('pc.hour.electricity')}</dt>
      <dd>{electricityWords(electricity)}</dd>
    </dl>
  );
}

function electricityWords({ perHour, currency, watts, measured }: EarningsEstimate['electricity']): string {
  if (perHour === null) return message(watts === null ? 'pc.hour.no-watts' : 'pc.hour.no-tariff', { watts: Math.round(watts ?? 0) });
  const cost = new Intl.NumberFormat('en', { style: 'currency', currency, maximumFractionDigits: 3 }).format(perHour);
  return message(measured ? 'pc.hour.cost' : 'pc.hour.cost-estimated', { cost, watts: Math.round(watts ?? 0) });
}
