import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import type { Operator } from './operator.ts';

const DAY_MS = 86_400_000;

/** An invitation for one machine, for whoever is to join. */
export function Invite({ operator }: { operator: Operator }): React.ReactNode {
  const act = useAct();
  const [invitation, setInvitation] = useState<{ link: string; expiresAt: number } | null>(null);
  return (
    <div className="invite">
      <button
        type="button"
        className="button"
        aria-disabled={act.busy}
        onClick={() => void act.run(async () => setInvitation(await operator.call('network.invite', { lastingMs: DAY_MS })))}
      >
        {message('operator.invite')}
      </button>
      {invitation !== null && (
        <div className="invitation" role="status">
          <p className="soft">{message('operator.invite.until', { until: dateTimeText(invitation.expiresAt) })}</p>
          <div className="command">
            <code>{invitation.link}</code>
            <CopyButton text={invitation.link} what="operator.invite.link" />
          </div>
        </div>
      )}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </div>
  );
}
