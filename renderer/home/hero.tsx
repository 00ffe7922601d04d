import { message } from '../../core/contract/messages.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import type { AppState } from '../agent/app-state.ts';
import { RetryCountdown } from '../frame/retry.tsx';
import { SAFETY_ADDRESS } from '../frame/use-route.ts';
import { timeText } from '../words/times.ts';
import { headline } from './headline.ts';
import { HeroButtons } from './hero-buttons.tsx';
import { Ring } from './ring.tsx';

/** One state, one reason, one button, one number. */
export function Hero({ state, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  const { title, why } = headline(state);
  const live = state.link.name === 'live';
  return (
    <section className="hero">
      <Ring earnings={snapshot.earnings} load={live ? snapshot.load : 'unknown'} />
      <div className="say">
        <div role="status">
          <h1>{title}</h1>
          <p className="why">{why}</p>
        </div>
        {live ? <Chips snapshot={snapshot} /> : <RetryCountdown link={state.link} />}
      </div>
      <HeroButtons live={live} agentState={snapshot.state} />
    </section>
  );
}

function Chips({ snapshot: { state, isolation, networks, practice } }: { snapshot: Snapshot }): React.ReactNode {
  const level = message(`isolation.${isolation.level}`);
  const practiceOnly = networks.length > 0 && networks.every((network) => network.practice);
  return (
    <ul className="chips" aria-label={message('screen.chips')}>
      <li>
        <a className="chip" href={SAFETY_ADDRESS} aria-label={message('screen.chip.safety', { level })}>
          <i className={isolation.level === 'process' ? 'dot warn' : 'dot ok'} />
          {level}
        </a>
      </li>
      {practiceOnly && (
        <li className="chip">
          {state.name === 'working'
            ? message('screen.chip.practice-left', {
                shards: Math.max(0, practice.shardsLeft),
                minutes: Math.max(0, Math.ceil(practice.msLeft / 60_000)),
              })
            : message('screen.chip.practice')}
        </li>
      )}
      {state.until !== null && <li className="chip">{message('screen.chip.until', { time: timeText(state.until) })}</li>}
    </ul>
  );
}
