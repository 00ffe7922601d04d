import { Brand } from '../../../renderer/frame/brand.tsx';
import { promisesOf, type Story } from '../story.ts';
import { headline, theNumber } from '../view.ts';
import { say } from '../words.ts';
import { Answer } from './answer.tsx';
import { Machines } from './machines.tsx';
import { MoneyTable } from './money.tsx';
import { Parts } from './parts.tsx';
import { Verdicts } from './verdicts.tsx';

/** Whether the demonstration still tells: `ended` when its program has, `refused` where this page was not let in. */
export type Link = 'live' | 'ended' | 'refused';

export function Page({ story, link }: { story: Story; link: Link }): React.ReactNode {
  const { title, why } = headline(story);
  return (
    <>
      <header className="top">
        <Brand />
        <p className="marked">
          <strong>{say('mark')}</strong>
          <span>{say('mark.why')}</span>
        </p>
      </header>
      {link === 'refused' ? (
        <main>
          <p role="alert">{say('refused')}</p>
        </main>
      ) : (
        <main data-chapter={story.chapter}>
          {link === 'ended' && story.chapter !== 'over' && <p role="status">{say('ended')}</p>}
          <section className="hero" aria-live="polite">
            <div>
              <h1>{title}</h1>
              <p className="why">{why}</p>
            </div>
            <TheNumber story={story} />
          </section>
          <Promises story={story} />
          <Machines story={story} />
          <div className="two">
            <Answer story={story} />
            <Verdicts story={story} />
          </div>
          <MoneyTable story={story} />
          <Parts story={story} />
        </main>
      )}
    </>
  );
}

function TheNumber({ story }: { story: Story }): React.ReactNode {
  const { value, unit } = theNumber(story);
  return (
    <p className="number">
      <span className="value">{value}</span>
      <span className="unit">{unit}</span>
      <span className="elapsed">{say('elapsed', { seconds: (story.atMs / 1000).toFixed(1) })}</span>
    </p>
  );
}

function Promises({ story }: { story: Story }): React.ReactNode {
  const promises = promisesOf(story);
  return (
    <ul className="promises" aria-label={say('promise')}>
      {(['caught', 'identical', 'arrived'] as const).map((name) => {
        const kept = promises[name];
        const state = kept === null ? 'waiting' : kept ? 'kept' : 'broken';
        return (
          <li key={name} className={state}>
            <Mark state={state} />
            {say(`promise.${name}`)}
            <span className="faint">{say(`promise.${state}`)}</span>
          </li>
        );
      })}
    </ul>
  );
}

function Mark({ state }: { state: 'kept' | 'broken' | 'waiting' }): React.ReactNode {
  const path = { kept: 'M3.5 8.5 6.5 11.5 12.5 4.5', broken: 'M4 4 12 12 M12 4 4 12', waiting: '' }[state];
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
      {state === 'waiting' ? (
        <circle cx="8" cy="8" r="5" fill="none" stroke="currentColor" strokeWidth="1.5" strokeDasharray="2 2" />
      ) : (
        <path d={path} fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" />
      )}
    </svg>
  );
}
