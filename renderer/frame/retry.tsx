import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import type { Link } from '../agent/app-state.ts';
import { useNow } from './use-now.ts';

/** When the next try to connect is. */
export function RetryCountdown({ link }: { link: Link }): React.ReactNode {
  const now = useNow(500);
  const retryAt = link.name === 'lost' ? link.retryAt : null;
  const seconds = retryAt === null ? 0 : Math.ceil((retryAt - now) / 1000);
  return (
    <span className="faint">
      {retryAt === null || seconds <= 0 ? message('screen.link.retrying') : message('screen.link.retry-in', { seconds })}
    </span>
  );
}

export function RetryButton(): React.ReactNode {
  const agent = useAgent();
  return (
    <button type="button" className="button" onClick={agent.reconnect}>
      {message('screen.link.retry')}
    </button>
  );
}
