import { formatBaseUnits } from '../../../core/contract/money.ts';
import type { Story } from '../story.ts';
import { type MoneyRow, moneyRows, short } from '../view.ts';
import { say, type WordKey } from '../words.ts';

const COLUMNS = ['accepted', 'promised', 'claimed', 'balance'] as const;

/** Receipts, voucher, claim, balance: the same amount on its way to each wallet, as each part of the chain of figures says it. */
export function MoneyTable({ story }: { story: Story }): React.ReactNode {
  const { settlement } = story;
  return (
    <section className="card money" aria-labelledby="money">
      <div className="head">
        <h2 id="money">{say('money')}</h2>
        {settlement !== null && (
          <span>
            {say('money.why', { price: formatBaseUnits(BigInt(settlement.price), settlement.decimals), symbol: settlement.symbol })}
          </span>
        )}
      </div>
      {settlement === null ? (
        <p className="empty">{say('money.none')}</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">{say('money.machine')}</th>
              <th scope="col">{say('money.receipts')}</th>
              {COLUMNS.map((name) => (
                <th scope="col" key={name}>
                  {say(`money.${name}`)}
                </th>
              ))}
              <th scope="col">{say('money.transaction')}</th>
            </tr>
          </thead>
          <tbody>
            {moneyRows(story).map((row) => (
              <Row key={row.machine} row={row} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Row({ row }: { row: MoneyRow }): React.ReactNode {
  return (
    <tr data-machine={row.machine}>
      <th scope="row">{row.machine}</th>
      <td data-label={say('money.receipts')}>{row.receipts}</td>
      {row.amounts.map(({ name, text, same }) => (
        <td key={name} data-label={say(`money.${name}` as WordKey)} className={name === 'balance' && same ? 'arrived' : ''}>
          {same && <span className="equals">=</span>}
          {text ?? <span className="faint">{say('unknown')}</span>}
        </td>
      ))}
      <td className="mono transaction" data-label={say('money.transaction')} title={row.hash ?? undefined}>
        {row.hash === null ? <span className="faint">{say('unknown')}</span> : <span>{short(row.hash)}</span>}
        {row.block !== null && <span className="faint">{say('money.block', { block: String(row.block) })}</span>}
      </td>
    </tr>
  );
}
