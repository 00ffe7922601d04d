import type { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { sayError } from '../words/say.ts';

/** What a press of a button came to, where it failed: what happened, what to do next, and the code to search for. */
export function Notice({ error }: { error: HearthlendError }): React.ReactNode {
  const agent = useAgent();
  const words = sayError(error);
  return (
    <div className="notice" role="alert">
      <div>
        <b>{words.what}</b>
        <p>{words.next}</p>
        <p className="code">{message('screen.notice.code', { code: words.code })}</p>
      </div>
      <button type="button" className="plain" onClick={agent.closeNotice}>
        {message('screen.notice.close')}
      </button>
    </div>
  );
}
