import type { BreakOutAttempt, IsolationReport } from '../../core/contract/isolation.ts';
import { message } from '../../core/contract/messages.ts';
import { Command } from '../frame/command.tsx';
import { say } from '../words/say.ts';
import { timeText } from '../words/times.ts';

export const SAFETY_ID = 'safety';

/** What the worker runs under, as tested; why it isn't better, and the exact remedy. */
export function Safety({ isolation }: { isolation: IsolationReport }): React.ReactNode {
  const { level, wall, reason, remedy, probe } = isolation;
  const command = remedy?.params.command;
  return (
    <section className="card" id={SAFETY_ID} tabIndex={-1} aria-labelledby="safety-name">
      <div className="head">
        <h2 id="safety-name">{message('screen.safety')}</h2>
        <span>{message('screen.safety.wall', { level, wall })}</span>
      </div>
      <div className="paragraphs">
        <p>
          <i className={level === 'process' ? 'dot warn' : 'dot ok'} />
          {message(`isolation.${level}`)}
        </p>
        <p className="soft">{message(`screen.safety.${level}`)}</p>
        {reason !== null && <p className="soft">{say(reason)}</p>}
        {remedy !== null && (
          <div className="remedy">
            <p>{say(remedy)}</p>
            {typeof command === 'string' && <Command text={command} />}
          </div>
        )}
        {probe === null ? (
          <p className="soft">{message('screen.safety.untested')}</p>
        ) : (
          <Probe level={level} at={probe.at} attempts={probe.attempts} />
        )}
      </div>
    </section>
  );
}

function Probe({
  level,
  at,
  attempts,
}: {
  level: IsolationReport['level'];
  at: number;
  attempts: readonly BreakOutAttempt[];
}): React.ReactNode {
  const broke = attempts.filter((attempt) => attempt.succeeded).length;
  const params = { count: attempts.length, broke, time: timeText(at) };
  return (
    <>
      {broke === 0 && <p className="soft">{message('screen.safety.held', params)}</p>}
      {broke > 0 && level === 'process' && <p className="soft">{message('screen.safety.open', params)}</p>}
      {broke > 0 && level !== 'process' && <p className="bad">{message('screen.safety.broke', params)}</p>}
      {attempts.length > 0 && (
        <details>
          <summary>{message('screen.safety.attempts')}</summary>
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
        </details>
      )}
    </>
  );
}
