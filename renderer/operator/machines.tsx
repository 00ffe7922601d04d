import { useState } from 'react';
import { countText } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import { isPracticeCredit } from '../../core/contract/money.ts';
import type { MemberRow } from '../../core/contract/operating.ts';
import type { OperatorView } from '../../core/contract/operator-page.ts';
import { moneyText } from '../words/amounts.ts';
import { shortAddress } from '../words/plain.ts';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import type { Operator } from './operator.ts';

/** The machines that joined, what came of them, and what can be done about one. */
export function Machines({ view, operator }: { view: OperatorView; operator: Operator }): React.ReactNode {
  const { workers, workersInAll, status } = view;
  const { joined, connected, suspended, revoked } = status.workers;
  return (
    <section className="card" id="machines" aria-labelledby="machines-title">
      <div className="head">
        <h2 id="machines-title">{message('operator.machines')}</h2>
        <span>{message('operator.machines.counts', { joined, connected, suspended, revoked })}</span>
      </div>
      {workers.length === 0 ? (
        <p className="empty">{message('operator.machines.none')}</p>
      ) : (
        <table>
          <thead>
            <tr>
              {(['machine', 'state', 'now', 'done', 'audits', 'earned', 'act'] as const).map((column) => (
                <th key={column} scope="col">
                  {message(`operator.machines.${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {workers.map((worker) => (
              <Machine key={worker.nkey} worker={worker} view={view} operator={operator} />
            ))}
          </tbody>
        </table>
      )}
      {workersInAll > workers.length && (
        <p className="faint">{message('operator.more', { count: workersInAll - workers.length, command: 'workers' })}</p>
      )}
    </section>
  );
}

function Machine({ worker, view, operator }: { worker: MemberRow; view: OperatorView; operator: Operator }): React.ReactNode {
  const { audits, open, accepted, suspendedUntil, revokedAt } = worker;
  const suspended = suspendedUntil !== null && suspendedUntil > view.status.now;
  const state = revokedAt !== null ? 'revoked' : suspended ? 'suspended' : 'member';
  const label = (column: 'state' | 'now' | 'done' | 'audits' | 'earned') => message(`operator.machines.${column}`);
  return (
    <tr>
      <th scope="row" title={worker.worker}>
        <span className="mono">{shortAddress(worker.worker)}</span>
      </th>
      <td data-label={label('state')} className={state === 'member' ? undefined : 'bad'}>
        {message(`operator.machines.state.${state}`, { until: suspendedUntil === null ? '' : dateTimeText(suspendedUntil) })}
      </td>
      <td data-label={label('now')}>{countText(open)}</td>
      <td data-label={label('done')}>{countText(accepted)}</td>
      <td data-label={label('audits')} className={audits.bad > 0 ? 'bad' : undefined}>
        {message('operator.machines.audits-text', audits)}
      </td>
      <td data-label={label('earned')}>{earnedText(worker, view)}</td>
      <td>{revokedAt === null && <Acts worker={worker.worker} suspended={suspended} operator={operator} />}</td>
    </tr>
  );
}

/** To lift a suspension, and to shut a machine out for good: that is asked about once more. */
function Acts({ worker, suspended, operator }: { worker: string; suspended: boolean; operator: Operator }): React.ReactNode {
  const act = useAct();
  const [asking, setAsking] = useState(false);
  return (
    <div className="acts">
      {suspended && (
        <button
          type="button"
          className="plain"
          aria-disabled={act.busy}
          onClick={() => void act.run(() => operator.call('worker.reinstate', { worker }))}
        >
          {message('operator.machines.reinstate')}
        </button>
      )}
      {asking ? (
        <>
          <button
            type="button"
            className="plain danger"
            aria-disabled={act.busy}
            onClick={() => void act.run(() => operator.call('worker.revoke', { worker }))}
          >
            {message('operator.machines.revoke.yes', { machine: shortAddress(worker) })}
          </button>
          <button type="button" className="plain" onClick={() => setAsking(false)}>
            {message('operator.no')}
          </button>
        </>
      ) : (
        <button type="button" className="plain" onClick={() => setAsking(true)}>
          {message('operator.machines.revoke')}
        </button>
      )}
      {act.trouble !== null && (
        <span className="bad" role="alert">
          {act.trouble}
        </span>
      )}
    </div>
  );
}

/** In the network's own asset as money is read; practice credits are named so, other assets by their ids. */
function earnedText({ earned }: MemberRow, { status: { escrow } }: OperatorView): string {
  const parts = earned.map(({ asset, amount }) => {
    if (isPracticeCredit(asset)) return message('operator.credits', { amount: countText(Number(amount)) });
    return escrow?.asset === asset ? moneyText(amount, escrow) : `${amount} ${asset}`;
  });
  return parts.length === 0 ? message('operator.nothing') : parts.join(', ');
}
