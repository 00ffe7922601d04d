import { useId, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { isPracticeCredit } from '../../core/contract/money.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';
import { useAgent } from '../agent/agent.ts';
import { Four } from '../home/four-numbers.tsx';
import { shortAddress } from '../words/plain.ts';
import { say } from '../words/say.ts';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { ChoicesForm } from './choices-form.tsx';
import { TermsList } from './terms-list.tsx';

/** One network: how it stands, why it has no work, what it brought, and what can be done about it. */
export function NetworkCard({ network }: { network: NetworkRow }): React.ReactNode {
  const { id, terms, choices, connection, payout, noWork, took, asset, symbol, decimals, earnings } = network;
  const title = useId();
  const practice = isPracticeCredit(asset);
  return (
    <section className="card network" aria-labelledby={title}>
      <div className="head">
        <h2 id={title}>{terms === null ? message('networks.own') : terms.operator}</h2>
        <span className={`state ${connection.state}`} role="status">
          {message(`networks.state.${connection.state}`)}
        </span>
      </div>
      <p className="faint mono">{id}</p>
      {connection.reason !== null && <p className="reason">{say(connection.reason)}</p>}
      {noWork !== null && connection.state === 'connected' && <p className="reason">{message('networks.no-work', { why: say(noWork) })}</p>}
      {payout !== undefined && <Paid payout={payout} />}
      {took !== null && <p className="soft">{message('networks.took', { why: say(took) })}</p>}
      <Four earnings={{ practice, symbol, decimals, ...earnings }} own={terms === null} />
      {terms !== null && choices !== null && (
        <>
          <details>
            <summary>{message('networks.terms')}</summary>
            <TermsList terms={terms} refused={choices.refusedCategories} />
          </details>
          <details>
            <summary>{message('networks.choices')}</summary>
            <ChoicesForm key={JSON.stringify(choices)} network={id} terms={terms} choices={choices} />
          </details>
          <Ends network={id} paused={choices.paused} />
        </>
      )}
    </section>
  );
}

/** Who is paid, where that is to change, and where the wallet keeps work away. */
function Paid({ payout: { payee, next, stopped } }: { payout: NonNullable<NetworkRow['payout']> }): React.ReactNode {
  if (next === null && stopped === null) return null;
  return (
    <p className="soft">
      {message('networks.paid-to', { payee: shortAddress(payee) })}{' '}
      {next !== null && message('networks.paid-to.waits', { at: dateTimeText(next.at), next: shortAddress(next.payee) })}{' '}
      {stopped !== null && message(`networks.paid-to.${stopped}`)}
    </p>
  );
}

/** To pause it, and to leave it: that is asked about once more. */
function Ends({ network, paused }: { network: string; paused: boolean }): React.ReactNode {
  const { networks } = useAgent();
  const act = useAct();
  const [leaving, setLeaving] = useState(false);
  return (
    <div className="ends">
      {leaving ? (
        <>
          <p>{message('networks.leave.sure', { network })}</p>
          <div className="press">
            <button
              type="button"
              className="button ghost danger"
              aria-disabled={act.busy}
              onClick={() => void act.run(() => networks.leave(network))}
            >
              {message('networks.leave.yes')}
            </button>
            <button type="button" className="plain" onClick={() => setLeaving(false)}>
              {message('networks.leave.no')}
            </button>
          </div>
        </>
      ) : (
        <div className="press">
          <button
            type="button"
            className="button ghost"
            aria-disabled={act.busy}
            onClick={() => void act.run(() => networks.set(network, { paused: !paused }))}
          >
            {message(paused ? 'networks.resume' : 'networks.pause')}
          </button>
          <button type="button" className="plain" onClick={() => setLeaving(true)}>
            {message('networks.leave')}
          </button>
        </div>
      )}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </div>
  );
}
