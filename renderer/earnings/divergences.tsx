import type { ReconciledNetwork } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { Trouble } from '../frame/trouble.tsx';
import { exactText } from '../words/amounts.ts';
import { useAsked } from '../words/use-asked.ts';

/** Why what was accepted was not all paid, network by network, to the last unit. */
export function Divergences({ news }: { news: string }): React.ReactNode {
  const { earnings } = useAgent();
  const { value, trouble } = useAsked(() => earnings.reconcile(), 'all', news);
  return (
    <section className="card" aria-labelledby="divergences-title">
      <div className="head">
        <h2 id="divergences-title">{message('earned.divergences')}</h2>
      </div>
      {trouble !== null && <Trouble error={trouble} />}
      {value?.networks.length === 0 && <p className="empty">{message('earned.divergences.none')}</p>}
      {value?.networks.map((each) => (
        <Network key={`${each.network} ${each.asset}`} row={each} />
      ))}
    </section>
  );
}

function Network({ row }: { row: ReconciledNetwork }): React.ReactNode {
  const { network, divergences } = row;
  return (
    <div className="reconciled">
      <h3>{network}</h3>
      <dl className="facts">
        <dt>{message('screen.four.accepted')}</dt>
        <dd>{exactText(row.accepted, row)}</dd>
        <dt>{message('screen.four.paid')}</dt>
        <dd>{exactText(row.paid, row)}</dd>
        {divergences.map(({ kind, amount, channel }) => (
          <div key={`${kind} ${channel ?? ''}`} className="fact">
            <dt>{message(`earned.divergence.${kind}`)}</dt>
            <dd>
              {exactText(amount, row)} <span className="faint">{message(`earned.divergence.${kind}.why`)}</span>
            </dd>
          </div>
        ))}
      </dl>
      <p className="faint">{message(divergences.length === 0 ? 'earned.divergences.all-paid' : 'earned.divergences.sum')}</p>
    </div>
  );
}
