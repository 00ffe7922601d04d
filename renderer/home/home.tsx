import type { Snapshot } from '../../core/contract/snapshot.ts';
import type { AppState } from '../agent/app-state.ts';
import { ComputingNow } from './computing-now.tsx';
import { Day } from './day.tsx';
import { FourNumbers } from './four-numbers.tsx';
import { Hero } from './hero.tsx';
import { LastTasks } from './last-tasks.tsx';

/** Is my PC working, and what did it come to? */
export function Home({ state, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  return (
    <div className={state.link.name === 'live' ? 'home' : 'home stale'}>
      <Hero state={state} snapshot={snapshot} />
      <Day day={snapshot.day} />
      <FourNumbers earnings={snapshot.earnings} />
      <div className="pair">
        <ComputingNow state={state} snapshot={snapshot} />
        <LastTasks tasks={snapshot.recent} earnings={snapshot.earnings} />
      </div>
    </div>
  );
}
