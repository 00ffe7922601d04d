import { type NetworkTerms, PAYEE_DELAY_MS } from '../../core/contract/joining.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, isPracticeCredit } from '../../core/contract/money.ts';
import { durationText } from '../words/times.ts';

/** What a network says of itself. Nobody has checked it. */
export function TermsList({ terms, refused }: { terms: NetworkTerms; refused?: readonly string[] }): React.ReactNode {
  const { settlement, holdBackMs } = terms;
  return (
    <>
      <dl className="facts terms">
        <dt>{message('networks.terms.operator')}</dt>
        <dd>{terms.operator}</dd>
        {terms.contact !== '' && (
          <>
            <dt>{message('networks.terms.contact')}</dt>
            <dd>{terms.contact}</dd>
          </>
        )}
        <dt>{message('networks.terms.prices')}</dt>
        <dd>
          {terms.prices.length === 0 ? (
            message('networks.terms.prices.none')
          ) : (
            <ul>
              {terms.prices.map((price) => (
                <li key={`${price.unit} ${price.perUnit} ${price.note}`}>{priceText(terms, price)}</li>
              ))}
            </ul>
          )}
        </dd>
        <dt>{message('networks.terms.pays')}</dt>
        <dd>
          {settlement === null
            ? message('networks.terms.pays.nothing')
            : message('networks.terms.pays.on', { chain: String(settlement.chainId), contract: settlement.contract })}
        </dd>
        <dt>{message('networks.terms.hold-back')}</dt>
        <dd>
          {holdBackMs === 0
            ? message('networks.terms.hold-back.none')
            : message('networks.terms.hold-back.for', { time: durationText(holdBackMs) })}
        </dd>
        {settlement !== null && (
          <>
            <dt>{message('networks.terms.payee-delay')}</dt>
            <dd>{message('networks.terms.payee-delay.for', { time: durationText(terms.payeeDelayMs ?? PAYEE_DELAY_MS) })}</dd>
          </>
        )}
        <dt>{message('networks.terms.safety')}</dt>
        <dd>{terms.isolation.map((level) => message(`isolation.${level}`)).join(' · ')}</dd>
        {refused !== undefined && terms.categories.length > 0 && (
          <>
            <dt>{message('networks.terms.categories')}</dt>
            <dd>
              <ul>
                {terms.categories.map(({ id, title }) => (
                  <li key={id}>{refused.includes(id) ? message('networks.terms.category-refused', { title }) : title}</li>
                ))}
              </ul>
            </dd>
          </>
        )}
        <dt>{message('networks.terms.rules')}</dt>
        <dd className="rules-text">{terms.rules === '' ? message('networks.terms.rules.none') : terms.rules}</dd>
      </dl>
      <p className="faint">{message('networks.terms.unchecked')}</p>
    </>
  );
}

function priceText({ asset, symbol, decimals }: NetworkTerms, { unit, perUnit, note }: NetworkTerms['prices'][number]): string {
  const amount = isPracticeCredit(asset)
    ? message('networks.practice', { amount: perUnit })
    : `${formatBaseUnits(BigInt(perUnit), decimals)} ${symbol}`;
  const text = message(`networks.price.${unit}`, { amount });
  return note === '' ? text : `${text} · ${note}`;
}
