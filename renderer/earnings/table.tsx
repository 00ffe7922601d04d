import type { AssetSums, EarningsReport, EarningsRow } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { moneyText } from '../words/amounts.ts';
import { currencyText } from '../words/currency.ts';
import { rowName, sumsOf } from './rows.ts';

type Shown = Pick<AssetSums, 'asset' | 'symbol' | 'decimals'>;

/** What stands behind the picture, number by number. Hours and days in which there was nothing are left out. */
export function Table({ report, asset, practice }: { report: EarningsReport; asset: Shown; practice: boolean }): React.ReactNode {
  const rows = report.rows.filter((row) => isSomething(row, asset.asset));
  const vouched = report.query.by !== 'model' && report.query.by !== 'device' && !practice;
  const amount = (text: string | null | undefined) => (text == null ? message('money.unknown') : practice ? text : moneyText(text, asset));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also from the keyboard
    <section className="scroll" tabIndex={0} aria-label={message('earned.table')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{message(`earned.by.${report.query.by}`)}</th>
            <th scope="col">{message('screen.four.accepted')}</th>
            <th scope="col">{message('earned.tasks')}</th>
            {!practice && <th scope="col">{message('screen.four.expected')}</th>}
            {vouched && <th scope="col">{message('screen.four.promised')}</th>}
            {vouched && <th scope="col">{message('screen.four.paid')}</th>}
            <th scope="col">{message('earned.energy')}</th>
            <th scope="col">{message('earned.electricity')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const sums = sumsOf(row, asset.asset);
            return (
              <tr key={rowName(row) + JSON.stringify(row.key)}>
                <th scope="row">{rowName(row)}</th>
                <td>{amount(sums?.accepted ?? '0')}</td>
                <td>{sums?.acceptedShards ?? 0}</td>
                {!practice && (
                  <td className="estimate">{message('screen.four.approximately', { amount: amount(sums?.expected ?? '0') })}</td>
                )}
                {vouched && <td>{amount(sums === null ? '0' : sums.promised)}</td>}
                {vouched && <td>{amount(sums === null ? '0' : sums.paid)}</td>}
                <td>{energyText(row)}</td>
                <td>{row.net.electricity === null ? message('money.unknown') : currencyText(row.net.electricity, row.net.currency)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {rows.length === 0 && <p className="empty">{message('earned.table.none')}</p>}
    </section>
  );
}

export function energyText({ energy }: Pick<EarningsRow, 'energy'>): string {
  const { measuredWh, estimatedWh } = energy;
  if (measuredWh === null && estimatedWh === null) return message('money.unknown');
  const wh = (measuredWh ?? 0) + (estimatedWh ?? 0);
  const text = wh >= 1000 ? message('earned.kwh', { kwh: round(wh / 1000) }) : message('earned.wh', { wh: round(wh) });
  return estimatedWh === null ? text : message('screen.four.approximately', { amount: text });
}

function round(value: number): string {
  return new Intl.NumberFormat('en', { maximumSignificantDigits: 3 }).format(value);
}

function isSomething(row: EarningsRow, asset: string): boolean {
  const sums = sumsOf(row, asset);
  return sums !== null && [sums.accepted, sums.expected, sums.promised ?? '0', sums.paid ?? '0'].some((text) => text !== '0');
}
