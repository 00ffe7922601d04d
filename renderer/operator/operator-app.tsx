import { useEffect, useSyncExternalStore } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { Link } from '../agent/app-state.ts';
import { Brand } from '../frame/brand.tsx';
import { Command } from '../frame/command.tsx';
import { sayError } from '../words/say.ts';
import { dateTimeText } from '../words/times.ts';
import { Audits } from './audits.tsx';
import { operatorHeadline } from './headline.ts';
import { Invite } from './invite.tsx';
import { Jobs } from './jobs.tsx';
import { Machines } from './machines.tsx';
import { Money } from './money.tsx';
import type { Operator } from './operator.ts';

const PARTS = ['money', 'machines', 'jobs', 'audits'] as const;

/** Is my network all right? And then: its money, its machines, its jobs, its audits. */
export function OperatorApp({ operator }: { operator: Operator }): React.ReactNode {
  const { view, link } = useSyncExternalStore(operator.subscribe, operator.state);
  const title = view === null ? null : operatorHeadline(view);
  useEffect(() => {
    document.title = message('operator.document', { network: view?.status.id ?? '' });
  }, [view?.status.id]);
  const alone = view === null || title === null || link.name === 'refused' || link.name === 'broken';
  return (
    <>
      <header className="side">
        <Brand />
        {!alone && (
          <nav aria-label={message('operator.nav')}>
            <ul>
              {PARTS.map((part) => (
                <li key={part}>
                  <a href={`#${part}`}>{message(`operator.nav.${part}`)}</a>
                </li>
              ))}
            </ul>
          </nav>
        )}
      </header>
      <div className="page">
        <main id="page" tabIndex={-1}>
          {alone ? (
            <NotThere link={link} onRetry={operator.reconnect} />
          ) : (
            <div className="operator">
              {link.name === 'lost' && (
                <p className="lost" role="status">
                  {message('operator.lost', { at: dateTimeText(view.status.now) })}
                </p>
              )}
              <div>
                <p className="faint">{message('operator.network', { operator: view.status.operator, network: view.status.id })}</p>
                <h1>{title.title}</h1>
                <p className={title.asks ? 'why asks' : 'why'}>{title.why}</p>
              </div>
              <Invite operator={operator} />
              <Money status={view.status} />
              <Machines view={view} operator={operator} />
              <Jobs view={view} operator={operator} />
              <Audits view={view} />
            </div>
          )}
        </main>
      </div>
      {!alone && (
        <footer className="foot">
          <div>
            {message('operator.coordinators', { count: view.status.coordinators })}
            <br />
            {message('operator.since', { since: dateTimeText(view.status.startedAt), version: view.status.version })}
          </div>
        </footer>
      )}
    </>
  );
}

/** The whole page while there is nothing to show: not there yet, not let in, not understood. */
function NotThere({ link, onRetry }: { link: Link; onRetry(): void }): React.ReactNode {
  const waiting = link.name === 'connecting' || link.name === 'live';
  const words = link.name === 'broken' ? sayError(link.error) : null;
  const key = waiting ? 'operator.link.connecting' : link.name === 'refused' ? 'operator.link.refused' : 'operator.link.lost';
  return (
    <section className="alone">
      <div role={waiting ? 'status' : 'alert'}>
        <h1>{words?.what ?? message(key)}</h1>
        <p>{words?.next ?? message(`${key}.why`)}</p>
      </div>
      {!waiting && (
        <>
          <button type="button" className="button" onClick={onRetry}>
            {message('operator.link.retry')}
          </button>
          <p>{message('operator.link.back')}</p>
          <Command text="hearthlend coordinator open" />
        </>
      )}
    </section>
  );
}
