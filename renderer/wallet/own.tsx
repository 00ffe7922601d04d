import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import { say } from '../words/say.ts';
import { timeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { PasswordForm } from './password-form.tsx';

/** Locked or not, and the way from one to the other. */
export function Lock({ wallet: status }: { wallet: WalletStatus }): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const { sealed, reason } = status.offline;
  return (
    <section className="card" aria-labelledby="lock-title">
      <div className="head">
        <h2 id="lock-title">{message('screen.wallet.lock')}</h2>
      </div>
      <p role="status">
        <b className={status.unlocked ? 'open' : undefined}>
          {message(status.unlocked ? 'screen.wallet.unlocked' : 'screen.wallet.locked')}
        </b>{' '}
        <span className="soft">
          {status.locksAt === null
            ? message('screen.wallet.locked.why')
            : message('screen.wallet.unlocked.why', { time: timeText(status.locksAt) })}
        </span>
      </p>
      {status.unlocked ? (
        <button type="button" className="button ghost" onClick={() => void act.run(() => wallet.lock())}>
          {message('screen.wallet.lock-now')}
        </button>
      ) : (
        <PasswordForm label={message('screen.wallet.unlock')} submit={(password) => wallet.unlock(password)} />
      )}
      <p className="faint">
        {message(sealed ? 'screen.wallet.offline' : 'screen.wallet.not-offline', { reason: reason === null ? '' : say(reason) })}
      </p>
    </section>
  );
}

/** Whether the wallet outlives this PC, and what is left to do for it. */
export function BackUp({ wallet: status, onWords }: { wallet: WalletStatus; onWords(words: RevealedWords): void }): React.ReactNode {
  const { wallet } = useAgent();
  const [asking, setAsking] = useState(false);
  const key = status.backedUp ? 'screen.wallet.backup.done' : 'screen.wallet.backup.missing';
  return (
    <section className={status.backedUp ? 'card' : 'card reminder'} aria-labelledby="backup-title">
      <div className="head">
        <h2 id="backup-title">{message('screen.wallet.backup')}</h2>
      </div>
      <p>
        <b>{message(key)}</b> <span className="soft">{message(`${key}.why`)}</span>
      </p>
      {!status.hasWords && <p className="soft">{message('screen.wallet.backup.no-words')}</p>}
      {status.hasWords && !asking && (
        <button type="button" className={status.backedUp ? 'plain' : 'button ghost'} onClick={() => setAsking(true)}>
          {message('screen.wallet.backup.show')}
        </button>
      )}
      {asking && (
        <PasswordForm
          label={message('screen.wallet.backup.show')}
          submit={async (password) => {
            const words = await wallet.words(password);
            setAsking(false);
            onWords(words);
          }}
        />
      )}
    </section>
  );
}
