import type { IsolationReport } from '../../core/contract/isolation.ts';
import { type MessageRef, message } from '../../core/contract/messages.ts';
import { Command } from '../frame/command.tsx';
import { say } from '../words/say.ts';
import { timeText } from '../words/times.ts';

export const SAFETY_ID = 'safety';

type Probe = NonNullable<IsolationReport['probe']>;

/** What the worker runs under, as tested; why it isn't better, and the exact remedy. */
export function Safety({ isolation }: { isolation: IsolationReport }): React.ReactNode {
  const { level, wall, reason, remedy, probe } = isolation;
  return (
    <section className="card" id={SAFETY_ID} tabIndex={-1} aria-labelledby="safety-name">
      <div className="head">
        <h2 id="safety-name">{message('screen.safety')}</h2>
      </div>
      <div className="paragraphs">
        <p>
          <i className={level === 'process' ? 'dot warn' : 'dot ok'} />
          {message(`isolation.${level}`)}
        </p>
        <p className="soft">{message(`screen.safety.${level}`)}</p>
        {reason !== null && <p className="soft">{say(reason)}</p>}
        {remedy !== null && <Remedy remedy={remedy} />}
        {probe === null ? <p className="soft">{message('screen.safety.untested')}</p> : <Outcome level={level} probe={probe} />}
        <details>
          <summary>{message('screen.safety.details')}</summary>
          <dl className="facts">
            <dt>{message('screen.safety.level')}</dt>
            <dd className="mono">{level}</dd>
            <dt>{message('screen.safety.wall')}</dt>
            <dd className="mono">{wall}</dd>
          </dl>
          {probe !== null && <Attempts attempts={probe.attempts} />}
        </details>
      </div>
    </section>
  );
}

/** The remedy's words, with its command, where it has one, set to be copied. */
function Remedy({ remedy }: { remedy: MessageRef }): React.ReactNode {
  const words = say(remedy);
  const command = remedy.params.command;
  const at = typeof command === 'string' ? words.lastIndexOf(command) : -1;
  if (typeof command !== 'string' || at < 0) return <p>{words}</p>;
  const after = words.slice(at + command.length);
  return (
    <div className="remedy">
      <p>{words.slice(0, at)}</p>
      <Command text={command} />
      {after !== '' && <p>{after}</p>}
    </div>
  );
}

function Outcome({ level, probe: { at, attempts } }: { level: IsolationReport['level']; probe: Probe }): React.ReactNode {
  const broke = attempts.filter((attempt) => attempt.succeeded).length;
  const params = { count: attempts.length, broke, time: timeText(at) };
  if (broke === 0) return <p className="soft">{message('screen.safety.held', params)}</p>;
  if (level === 'process') return <p className="soft">{message('screen.safety.open', params)}</p>;
  return <p className="bad">{message('screen.safety.broke', params)}</p>;
}

function Attempts({ attempts }: { attempts: Probe['attempts'] }): React.ReactNode {
  return (
    <ul className="attempts">
      {attempts.map((attempt) => (
        <li key={`${attempt.kind} ${attempt.name}`} title={attempt.detail}>
          <span>{attempt.name}</span>
          <span className={attempt.succeeded ? 'bad' : 'ok'}>
            {message(attempt.succeeded ? 'screen.safety.succeeded' : 'screen.safety.stopped')}
          </span>
        </li>
      ))}
    </ul>
  );
}
