import type { EarningsReport } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { ADDRESS } from '../frame/use-route.ts';
import { moneyText } from '../words/amounts.ts';
import { currencyText } from '../words/currency.ts';
import { dateTimeText } from '../words/times.ts';
import { energyText } from './table.tsx';

/** What electricity took of it: watts that were measured, or taken for it, times the tariff. */
export function Power({ report }: { report: EarningsReport }): React.ReactNode {
  const { net, energy, money } = report.total;
  const { known, all } = { known: energy.knownShards, all: energy.acceptedShards };
  return (
    <section className="card" aria-labelledby="power-title">
      <div className="head">
        <h2 id="power-title">{message('earned.power')}</h2>
      </div>
      <dl className="facts">
        {money.map(({ asset, accepted, fiat, ...shown }) => (
          <div key={asset} className="fact">
            <dt>{message('earned.power.gross', { amount: moneyText(accepted, shown) })}</dt>
            <dd>
              {fiat === null ? (
                message('earned.power.no-price')
              ) : (
                <>
                  {currencyText(Number(fiat.value), fiat.currency)}{' '}
                  <span className="faint">
                    {message('earned.power.price', {
                      price: fiat.price,
                      currency: fiat.currency,
                      at: dateTimeText(fiat.pricedAt),
                      source: fiat.source,
                    })}
                  </span>
                </>
              )}
            </dd>
          </div>
        ))}
        <dt>{message('earned.energy')}</dt>
        <dd>
          {energyText(report.total)}{' '}
          <span className="faint">
            {message('earned.power.known', { known, all, estimated: energy.estimatedWh === null ? 'no' : 'yes' })}
          </span>
        </dd>
        <dt>{message('earned.electricity')}</dt>
        <dd>{net.electricity === null ? message('money.unknown') : `− ${currencyText(net.electricity, net.currency)}`}</dd>
        <dt>{message('earned.power.net')}</dt>
        <dd>
          <b>{net.net === null ? message('money.unknown') : currencyText(net.net, net.currency)}</b>
        </dd>
      </dl>
      {net.missing === 'tariff' && (
        <a className="plain" href={ADDRESS['when-to-work']}>
          {message('earned.power.tariff')}
        </a>
      )}
    </section>
  );
}
