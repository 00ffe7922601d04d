import { useId, useState } from 'react';
import { NATIVE_DECIMALS } from '../../core/contract/chain.ts';
import { message } from '../../core/contract/messages.ts';
import type { ClaimOffer, NetworkCredit, PaymentsStatus } from '../../core/contract/payments.ts';
import { useAgent } from '../agent/agent.ts';
import { ADDRESS } from '../frame/use-route.ts';
import { atMostText, exactText, moneyText } from '../words/amounts.ts';
import { say } from '../words/say.ts';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { Chunks } from './address.tsx';

/** What networks owe, what secures it, and the way to collect it. */
export function Owed({ status }: { status: PaymentsStatus }): React.ReactNode {
  if (status.networks.length === 0) {
    return (
      <section className="card" aria-labelledby="owed-title">
        <div className="head">
          <h2 id="owed-title">{message('money.owed')}</h2>
        </div>
        <p className="empty">{message('money.owed.none')}</p>
        <a className="button ghost" href={ADDRESS.networks}>
          {message('money.owed.join')}
        </a>
      </section>
    );
  }
  return status.networks.map((owed) => <Network key={owed.network} owed={owed} status={status} />);
}

function Network({ owed, status }: { owed: NetworkCredit; status: PaymentsStatus }): React.ReactNode {
  const title = useId();
  const { network, promised, paid } = owed;
  const show = (amount: string | null) => (amount === null ? message('money.unknown') : moneyText(amount, owed));
  const chain = status.chains.find(({ chainId }) => chainId === owed.chainId);
  const underWay = status.transactions.some(
    ({ kind, chainId, state }) => kind === 'claim' && chainId === owed.chainId && (state === 'pending' || state === 'mined'),
  );
  const open = (BigInt(promised) - BigInt(paid)).toString();
  return (
    <section className="card owed" aria-labelledby={title}>
      <div className="head">
        <h2 id={title}>{message('money.owed.by', { network })}</h2>
        <span>{chain?.name ?? message('money.chain', { chainId: String(owed.chainId) })}</span>
      </div>
      <p className="sum">
        <b>{show(open)}</b> <span className="soft">{message(open === '0' ? 'money.owed.nothing' : 'money.owed.open')}</span>
      </p>
      {owed.stopped !== null && <p className="reason">{say(owed.stopped)}</p>}
      {owed.trouble !== null && <p className="reason">{say(owed.trouble)}</p>}
      {owed.short !== '0' && <p className="reason">{message('money.owed.short', { short: moneyText(owed.short, owed) })}</p>}
      {owed.withheldSince !== null && (
        <p className="reason">
          {message('money.owed.withheld', { unvouched: moneyText(owed.unvouched, owed), since: dateTimeText(owed.withheldSince) })}
        </p>
      )}
      <dl className="facts">
        <dt>{message('money.owed.payable')}</dt>
        <dd>{show(owed.payable)}</dd>
        <dt>{message('money.owed.secured')}</dt>
        <dd>{show(owed.secured)}</dd>
        <dt>{message('money.owed.exposure')}</dt>
        <dd>
          {show(owed.exposure)}
          <span className="faint">
            {' '}
            {owed.limit === null ? message('money.owed.no-limit') : message('money.owed.limit', { limit: show(owed.limit) })}
          </span>
        </dd>
      </dl>
      <Claim owed={owed} underWay={underWay} />
    </section>
  );
}

/** Fees first, then what arrives; sent only where somebody wants it. */
function Claim({ owed, underWay }: { owed: NetworkCredit; underWay: boolean }): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const [offer, setOffer] = useState<ClaimOffer | null>(null);
  function look(): void {
    void act.run(async () => setOffer(await money.plan(owed.network)));
  }

  function claim(): void {
    void act
      .run(() => money.claim(owed.network))
      .then((worked) => {
        if (worked) setOffer(null);
      });
  }

  const short = offer !== null && BigInt(offer.gasBalance) < BigInt(offer.costs);
  return (
    <div className="claim">
      {offer !== null && <Offer offer={offer} owed={owed} />}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      <div className="press">
        {offer === null ? (
          <button type="button" className="button ghost" aria-disabled={act.busy} onClick={look}>
            {message('money.claim.look')}
          </button>
        ) : (
          <>
            <button
              type="button"
              className={offer.verdict === 'yes' && !short ? 'button' : 'button ghost'}
              aria-disabled={act.busy}
              onClick={claim}
            >
              {message(offer.verdict === 'yes' ? 'money.claim.do' : 'money.claim.all-the-same')}
            </button>
            <button type="button" className="plain" onClick={() => setOffer(null)}>
              {message('money.claim.not-now')}
            </button>
          </>
        )}
        <span className="faint" role="status">
          {act.busy ? message('money.claim.asking') : underWay ? message('money.claim.sent') : ''}
        </span>
      </div>
    </div>
  );
}

function Offer({ offer, owed }: { offer: ClaimOffer; owed: NetworkCredit }): React.ReactNode {
  const fee = (amount: string) => `${atMostText(BigInt(amount), NATIVE_DECIMALS)} ${offer.symbol}`;
  const short = BigInt(offer.gasBalance) < BigInt(offer.costs);
  return (
    <div className="offer" role="status">
      <dl className="facts">
        <dt>{message('money.claim.costs')}</dt>
        <dd>{message('money.at-most', { amount: fee(offer.costs) })}</dd>
        {offer.parts.map(({ payee, pays, owed: left }) => (
          <Part key={payee} pays={exactText(pays, owed)} left={left === '0' ? null : exactText(left, owed)} payee={payee} />
        ))}
      </dl>
      {short && (
        <div className="reason">
          <p>
            {message('money.claim.gas-short', {
              balance: `${exactText(offer.gasBalance, { decimals: NATIVE_DECIMALS, symbol: offer.symbol })}`,
            })}
          </p>
          <p>
            <Chunks address={offer.gasAddress} />
          </p>
        </div>
      )}
      {offer.verdict !== 'yes' && <p className="reason">{message(`money.verdict.${offer.verdict}`)}</p>}
    </div>
  );
}

function Part({ pays, left, payee }: { pays: string; left: string | null; payee: string }): React.ReactNode {
  return (
    <>
      <dt>{message('money.claim.brings')}</dt>
      <dd>
        <b>{pays}</b>
        {left !== null && <span className="soft"> {message('money.claim.left', { left })}</span>}
      </dd>
      <dt>{message('money.claim.to')}</dt>
      <dd>
        <Chunks address={payee} />
      </dd>
    </>
  );
}
