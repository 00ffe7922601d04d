import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { pausedBy } from '../../core/contract/policy.ts';
import type { AgentState } from '../../core/contract/snapshot.ts';
import { type Agent, useAgent } from '../agent/agent.ts';
import { RetryButton } from '../frame/retry.tsx';
import { ADDRESS } from '../frame/use-route.ts';

const HOUR_MS = 3_600_000;

/** The one button, and at most one quieter one beside it. */
export function HeroButtons({ live, agentState }: { live: boolean; agentState: AgentState }): React.ReactNode {
  const agent = useAgent();
  const [busy, setBusy] = useState(false);

  function press(work: () => Promise<void>): void {
    if (busy || !live) return;
    setBusy(true);
    void work().finally(() => setBusy(false));
  }

  if (!live) {
    return (
      <div className="press">
        <RetryButton />
      </div>
    );
  }
  const { name } = agentState;
  const main = mainButton(agentState, agent);
  // Greyed by aria-disabled alone: `disabled` would drop the keyboard's focus in the middle of a press.
  const unpressable = busy || main.work === null;
  return (
    <div className="press">
      <button
        type="button"
        className="button"
        aria-disabled={unpressable}
        onClick={() => {
          if (main.work !== null) press(main.work);
        }}
      >
        {main.words}
      </button>
      {(name === 'working' || name === 'waiting' || name === 'starting') && (
        <button
          type="button"
          className="button ghost"
          aria-label={message('screen.pause-hour.label')}
          aria-disabled={busy}
          onClick={() => press(() => agent.pause(HOUR_MS))}
        >
          {message('screen.pause-hour')}
        </button>
      )}
      {name === 'proven' && (
        <a className="button ghost" href={ADDRESS['use-it']}>
          {message('screen.use-it-yourself')}
        </a>
      )}
    </div>
  );
}

/** What the ember button says and does in each state. */
function mainButton({ name, reason }: AgentState, agent: Agent): { words: string; work: (() => Promise<void>) | null } {
  switch (name) {
    case 'paused': {
      const by = pausedBy(reason);
      // What only a rule keeps back, a press on Resume would leave where it is.
      if (by === 'rule') return { words: message('screen.start-anyway'), work: () => agent.startAnyway(HOUR_MS) };
      return { words: message('screen.resume'), work: by === 'user' ? agent.resume : null };
    }
    case 'failed':
      return { words: message('screen.try-again'), work: agent.resume };
    case 'proven':
      return { words: message('screen.keep-practising'), work: agent.keepPractising };
    case 'stopping':
      return { words: message('screen.pause'), work: null };
    case 'starting':
    case 'working':
    case 'waiting':
      return { words: message('screen.pause'), work: () => agent.pause(null) };
  }
}
