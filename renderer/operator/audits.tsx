import { message } from '../../core/contract/messages.ts';
import type { OperatorView } from '../../core/contract/operator-page.ts';
import { shortAddress } from '../words/plain.ts';
import { dateTimeText } from '../words/times.ts';

/** What audits found, and by what the latest results were rejected. */
export function Audits({ view: { status, appeals } }: { view: OperatorView }): React.ReactNode {
  return (
    <section className="card" id="audits" aria-labelledby="audits-title">
      <div className="head">
        <h2 id="audits-title">{message('operator.audits')}</h2>
        <span>{message('operator.audits.counts', status.audits)}</span>
      </div>
      {appeals.length === 0 ? (
        <p className="empty">{message('operator.audits.none')}</p>
      ) : (
        <table>
          <thead>
            <tr>
              {(['at', 'machine', 'task', 'why'] as const).map((column) => (
                <th key={column} scope="col">
                  {message(`operator.audits.${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {appeals.map(({ at, worker, shardId, attempt, detail }) => (
              <tr key={`${shardId} ${attempt}`}>
                <th scope="row">{dateTimeText(at)}</th>
                <td data-label={message('operator.audits.machine')} className="mono" title={worker}>
                  {shortAddress(worker)}
                </td>
                <td data-label={message('operator.audits.task')} className="mono">
                  {shardId}
                </td>
                <td data-label={message('operator.audits.why')}>{detail}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
