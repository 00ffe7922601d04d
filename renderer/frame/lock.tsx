import { useEffect, useRef, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import { PasswordForm } from '../wallet/password-form.tsx';
import { timeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';

/** The wallet's lock, turned from any page: shut at once, opened with the password. */
export function Lock({ wallet: { unlocked, locksAt } }: { wallet: WalletStatus }): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  const [asking, setAsking] = useState(false);
  // Opened elsewhere meanwhile, or here.
  const open = asking && !unlocked;
  return (
    <>
      <button
        type="button"
        className="plain lock-act"
        aria-label={message(unlocked ? 'money.lock.shut.what' : 'money.lock.open.what')}
        aria-haspopup={unlocked ? undefined : 'dialog'}
        title={locksAt === null ? undefined : message('screen.wallet.unlocked.why', { time: timeText(locksAt) })}
        onClick={() => (unlocked ? void act.run(() => wallet.lock()) : setAsking(true))}
      >
        {message(unlocked ? 'money.lock.shut' : 'money.lock.open')}
      </button>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      {open && <Ask onClose={() => setAsking(false)} />}
    </>
  );
}

/** For what needs the wallet open: the way to open it. */
export function OpenWallet(): React.ReactNode {
  const [asking, setAsking] = useState(false);
  return (
    <>
      <button type="button" className="button ghost" aria-haspopup="dialog" onClick={() => setAsking(true)}>
        {message('money.lock.open.what')}
      </button>
      {asking && <Ask onClose={() => setAsking(false)} />}
    </>
  );
}

function Ask({ onClose }: { onClose(): void }): React.ReactNode {
  const { wallet } = useAgent();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="card unlock" aria-labelledby="ask-title" onClose={onClose}>
      <h2 id="ask-title">{message('money.lock.title')}</h2>
      <p className="soft">{message('money.lock.why')}</p>
      <PasswordForm label={message('screen.wallet.unlock')} submit={(password) => wallet.unlock(password).then(onClose)}>
        <button type="button" className="plain" onClick={onClose}>
          {message('money.cancel')}
        </button>
      </PasswordForm>
    </dialog>
  );
}
