import type { BreakOutAttempt, IsolationReport } from '../../core/contract/isolation.ts';
import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { Remedy } from '../frame/remedy.tsx';
import { SAFETY_ID } from '../frame/use-route.ts';
import { say } from '../words/say.ts';
import { timeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { isCounted } from './headline.ts';

type Probe = NonNullable<IsolationReport['probe']>;

/** What can those who compute for strangers touch, as tried on this machine; why it isn't better, and the exact remedy. */
export function Safety({ isolation, live }: { isolation: IsolationReport; live: boolean }): React.ReactNode {
  const { level, wall, reason, remedy, probe } = isolation;
  return (
    <section className="card safety" id={SAFETY_ID} tabIndex={-1} aria-labelledby="safety-name">
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
      </div>
      <div className="sides">
        <div>
          <h3>{message('safety.can')}</h3>
          <ul className="can">
            {canTouch(level).map((words) => (
              <li key={words}>{words}</li>
            ))}
          </ul>
        </div>
        <div>
          <h3>{probe === null ? message('screen.safety.untested') : message('safety.tried', { time: timeText(probe.at) })}</h3>
          {probe !== null && <Kinds probe={probe} level={level} />}
        </div>
      </div>
      <Try live={live} />
      <details>
        <summary>{message('screen.safety.details')}</summary>
        <dl className="facts">
          <dt>{message('screen.safety.level')}</dt>
          <dd className="mono">{level}</dd>
          <dt>{message('screen.safety.wall')}</dt>
          <dd className="mono">{wall}</dd>
        </dl>
      </details>
    </section>
  );
}

function canTouch(level: IsolationReport['level']): string[] {
  if (level === 'process') return [message('safety.can.all')];
  if (level === 'chromium') return [message('safety.can.models'), message('safety.can.page')];
  return [message('safety.can.models'), message('safety.can.device'), message('safety.can.scratch')];
}

/** Makes the attempts anew, in front of the user. */
function Try({ live }: { live: boolean }): React.ReactNode {
  const agent = useAgent();
  const act = useAct();
  return (
    <div className="try">
      <button
        type="button"
        className="button ghost"
        aria-disabled={act.busy || !live}
        onClick={() => {
          if (live) void act.run(agent.tryToBreakOut);
        }}
      >
        {message(act.busy ? 'safety.trying' : 'safety.try')}
      </button>
      <span role="status" className="hidden">
        {act.busy ? message('safety.trying') : ''}
      </span>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </div>
  );
}

/** One line for each thing that was reached for; the attempts themselves unfold. */
function Kinds({ probe: { attempts }, level }: { probe: Probe; level: IsolationReport['level'] }): React.ReactNode {
  return (
    <ul className="kinds">
      {[...Map.groupBy(attempts, (attempt) => attempt.kind)].map(([kind, made]) => (
        <li key={kind}>
          <Kind kind={kind} made={made} open={level === 'process'} />
        </li>
      ))}
    </ul>
  );
}

function Kind({ kind, made, open }: { kind: BreakOutAttempt['kind']; made: readonly BreakOutAttempt[]; open: boolean }): React.ReactNode {
  const reached = made.filter((attempt) => attempt.succeeded).length;
  const count = made.filter(isCounted).length;
  // Where no wall was promised, what gets through is what was said above.
  const dot = reached === 0 ? 'dot ok' : open ? 'dot warn' : 'dot bad';
  return (
    <details>
      <summary>
        <i className={dot} />
        <span className="what">{message(`safety.kind.${kind}`)}</span>
        <span className="outcome">{outcome(reached, count)}</span>
      </summary>
      <ul className="attempts">
        {made.map(({ name, detail, wall, succeeded }) => (
          <li key={name}>
            <span>
              {name}
              <span className="detail">{wall === undefined ? detail : message(`isolation.wall.${wall}`)}</span>
            </span>
            <span className={succeeded ? 'bad' : 'ok'}>{message(succeeded ? 'screen.safety.succeeded' : 'screen.safety.stopped')}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function outcome(reached: number, count: number): string {
  if (reached > 0) return message('safety.reached', { count, reached });
  return count === 0 ? message('safety.stopped-anyway') : message('safety.stopped', { count });
}
