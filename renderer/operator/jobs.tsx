import { countText } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { OperatorView } from '../../core/contract/operator-page.ts';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import type { Operator } from './operator.ts';

/** What requesters sent, and how far it is. */
export function Jobs({ view, operator }: { view: OperatorView; operator: Operator }): React.ReactNode {
  const { jobs, jobsInAll, status } = view;
  const { queued = 0, leased = 0, settling = 0 } = status.shards;
  return (
    <section className="card" id="jobs" aria-labelledby="jobs-title">
      <div className="head">
        <h2 id="jobs-title">{message('operator.jobs')}</h2>
        <span>{message('operator.jobs.queue', { queued, leased, settling })}</span>
      </div>
      {jobs.length === 0 ? (
        <p className="empty">{message('operator.jobs.none')}</p>
      ) : (
        <table>
          <thead>
            <tr>
              {(['job', 'state', 'done', 'came', 'act'] as const).map((column) => (
                <th key={column} scope="col">
                  {message(`operator.jobs.${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {jobs.map((job) => (
              <Job key={job.id} job={job} operator={operator} />
            ))}
          </tbody>
        </table>
      )}
      {jobsInAll > jobs.length && <p className="faint">{message('operator.more', { count: jobsInAll - jobs.length, command: 'jobs' })}</p>}
    </section>
  );
}

function Job({ job, operator }: { job: JobStatus; operator: Operator }): React.ReactNode {
  const act = useAct();
  const { id, kind, state, shards, accepted, createdAt } = job;
  return (
    <tr>
      <th scope="row">
        <span className="mono">{id}</span>{' '}
        <span className="faint">{message(kind === 'onnx.run' ? 'operator.jobs.run' : 'operator.jobs.text')}</span>
      </th>
      <td data-label={message('operator.jobs.state')} className={state === 'failed' ? 'bad' : undefined}>
        {message(`operator.jobs.state.${state}`)}
      </td>
      <td data-label={message('operator.jobs.done')}>
        {message('operator.jobs.of', { accepted: countText(accepted), shards: countText(shards) })}
      </td>
      <td data-label={message('operator.jobs.came')}>{dateTimeText(createdAt)}</td>
      <td>
        {(state === 'queued' || state === 'running') && (
          <button
            type="button"
            className="plain"
            aria-disabled={act.busy}
            aria-label={message('operator.jobs.cancel-one', { id })}
            onClick={() => void act.run(() => operator.call('job.cancel', { job: id }))}
          >
            {message('operator.jobs.cancel')}
          </button>
        )}
        {act.trouble !== null && (
          <span className="bad" role="alert">
            {act.trouble}
          </span>
        )}
      </td>
    </tr>
  );
}
