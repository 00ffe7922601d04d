import { amountText, countText } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import { isPracticeCredit } from '../../core/contract/money.ts';
import type { CoordinatorStatus, EscrowStatus } from '../../core/contract/operating.ts';
import { exactText } from '../words/amounts.ts';
import { dateTimeText } from '../words/times.ts';

/** What is owed against what is there for it. */
export function Money({ status }: { status: CoordinatorStatus }): React.ReactNode {
  const { escrow, money } = status;
  return (
    <section className="card" id="money" aria-labelledby="money-title">
      <div className="head">
        <h2 id="money-title">{message('operator.money')}</h2>
        {escrow !== null && <span>{checkedText(escrow)}</span>}
      </div>
      {escrow === null ? (
        <p className="soft">
          {money
            .filter(({ asset }) => isPracticeCredit(asset))
            .map(({ accepted }) => message('operator.money.credits', { amount: countText(Number(accepted)) }))
            .join(' ')}{' '}
          {message('operator.money.none')}
        </p>
      ) : (
        <Escrow escrow={escrow} />
      )}
    </section>
  );
}

function Escrow({ escrow }: { escrow: EscrowStatus }): React.ReactNode {
  const { owed, covered, missing, claimed, holds, signer, contract, payer, chainId, channels, channelsRead } = escrow;
  const exact = (amount: string) => exactText(amount, escrow);
  const short = missing !== null && missing !== '0';
  return (
    <>
      <dl className="sums">
        <Sum name="owed" amount={owed.total} escrow={escrow} />
        <Sum name="covered" amount={covered} escrow={escrow} />
        <Sum name="missing" amount={missing} escrow={escrow} bad={short} />
        <Sum name="claimed" amount={claimed} escrow={escrow} />
      </dl>
      {owed.total !== null && covered !== null && owed.total !== '0' && <Cover total={BigInt(owed.total)} covered={BigInt(covered)} />}
      <details>
        <summary>{message('operator.money.more')}</summary>
        <dl className="facts">
          <dt>{message('operator.money.unvouched')}</dt>
          <dd>{message('operator.money.unvouched-text', { amount: exact(owed.unvouched), held: exact(owed.heldBack) })}</dd>
          <dt>{message('operator.money.unclaimed')}</dt>
          <dd>{owed.unclaimed === null ? message('operator.money.unknown') : exact(owed.unclaimed)}</dd>
          <dt>{message('operator.money.deposit')}</dt>
          <dd>
            {holds === null
              ? message('operator.money.unknown')
              : message('operator.money.deposit-text', {
                  ...{ deposit: exact(holds.deposit), thawing: exact(holds.thawing), isThawing: holds.thawing === '0' ? 'no' : 'yes' },
                  at: holds.thawedAt === null ? '' : dateTimeText(holds.thawedAt),
                })}
          </dd>
          <dt>{message('operator.money.earmarked')}</dt>
          <dd>{holds === null ? message('operator.money.unknown') : exact(holds.earmarked)}</dd>
          <dt>{message('operator.money.signer')}</dt>
          <dd>
            {signer === null ? (
              message('operator.money.unknown')
            ) : (
              <>
                <span className="mono">{signer.address}</span> {message(`operator.money.signer.${signer.state}`)}
              </>
            )}
          </dd>
          <dt>{message('operator.money.contract')}</dt>
          <dd>
            <span className="mono">{contract}</span> {message('operator.money.on', { chain: String(chainId) })}
          </dd>
          <dt>{message('operator.money.payer')}</dt>
          <dd className="mono">{payer}</dd>
          {channelsRead < channels && (
            <>
              <dt>{message('operator.money.unread')}</dt>
              <dd>{message('operator.money.unread-text', { count: channels - channelsRead })}</dd>
            </>
          )}
        </dl>
      </details>
    </>
  );
}

interface SumProps {
  name: 'owed' | 'covered' | 'missing' | 'claimed';
  amount: string | null;
  escrow: EscrowStatus;
  bad?: boolean;
}

function Sum({ name, amount, escrow: { decimals, symbol }, bad = false }: SumProps): React.ReactNode {
  return (
    <div>
      <dt>{message(`operator.money.${name}`)}</dt>
      <dd className={bad ? 'value bad' : 'value'}>
        {amount === null ? message('operator.money.unknown') : amountText(BigInt(amount), decimals)}{' '}
        {amount !== null && <span className="unit">{symbol}</span>}
      </dd>
      <dd className="sub">{message(`operator.money.${name}.what`)}</dd>
    </div>
  );
}

/** What is owed as a bar: covered, and hatched what is missing. */
function Cover({ total, covered }: { total: bigint; covered: bigint }): React.ReactNode {
  const permille = Number((covered * 1000n) / total);
  return (
    <svg className="cover" width="100%" height="12" role="img" aria-label={message('operator.money.cover', { percent: permille / 10 })}>
      <defs>
        <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect className="hatch" width="2" height="6" />
        </pattern>
      </defs>
      <rect className="missing" width="100%" height="12" rx="4" />
      <rect width="100%" height="12" rx="4" fill="url(#hatch)" />
      <rect className="covered" width={`${permille / 10}%`} height="12" rx="4" />
    </svg>
  );
}

function checkedText({ checkedAt }: EscrowStatus): string {
  return checkedAt === null ? message('operator.money.unchecked') : message('operator.money.checked', { at: dateTimeText(checkedAt) });
}
