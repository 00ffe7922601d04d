import { message } from '../../core/contract/messages.ts';
import type { Link } from '../agent/app-state.ts';
import { sayError } from '../words/say.ts';
import { Command } from './command.tsx';
import { RetryButton, RetryCountdown } from './retry.tsx';

/** The whole page while there is nothing to show of the agent: not there yet, not let in, not understood. */
export function Alone({ link }: { link: Link }): React.ReactNode {
  return (
    <section className="alone">
      <Words link={link} />
    </section>
  );
}

function Words({ link }: { link: Link }): React.ReactNode {
  switch (link.name) {
    case 'connecting':
    case 'live':
      return (
        <div role="status">
          <h1>{message('screen.link.connecting')}</h1>
          <p>{message('screen.link.connecting.why')}</p>
        </div>
      );
    case 'lost':
      return (
        <>
          <div role="status">
            <h1>{message('screen.link.never')}</h1>
            <p>{message('screen.link.never.why')}</p>
          </div>
          <RetryButton />
          <RetryCountdown link={link} />
          <p>{message('screen.link.back')}</p>
          <Command text={message('screen.link.command')} />
        </>
      );
    case 'refused':
      return (
        <>
          <div role="alert">
            <h1>{message('screen.link.refused')}</h1>
            <p>{message('screen.link.refused.why')}</p>
          </div>
          <p>{message('screen.link.back')}</p>
          <Command text={message('screen.link.command')} />
        </>
      );
    case 'broken': {
      const { what, next, code } = sayError(link.error);
      return (
        <>
          <div role="alert">
            <h1>{message('screen.link.broken')}</h1>
            <p>{what}</p>
            <p>{next}</p>
          </div>
          <RetryButton />
          <span className="faint">{message('screen.notice.code', { code })}</span>
        </>
      );
    }
  }
}
