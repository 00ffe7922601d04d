import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import type { AppState } from '../agent/app-state.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { RetryCountdown } from '../frame/retry.tsx';
import { shortAddress } from '../words/plain.ts';
import { sayError } from '../words/say.ts';
import { useAct } from '../words/use-act.ts';
import { BackUp, Lock } from './own.tsx';
import { Qr } from './qr.tsx';
import { Ways } from './ways.tsx';
import { Words } from './words.tsx';

/** Where am I paid, and is it locked? */
export function WalletPage({ state: { wallet, walletTrouble, link } }: { state: AppState }): React.ReactNode {
  // Here and nowhere else in the page: they are gone when somebody leaves it.
  const [words, setWords] = useState<RevealedWords | null>(null);
  if (walletTrouble !== null) return <Trouble trouble={walletTrouble} />;
  if (wallet === null) return <h1 role="status">{message('screen.wallet.looking')}</h1>;
  if (words !== null) {
    return (
      <div className="wallet">
        <Words words={words} onDone={() => setWords(null)} />
      </div>
    );
  }
  return (
    <div className="wallet">
      <div>
        <h1>{message(`screen.wallet.${wallet.kind}`)}</h1>
        <p className="why">{message(`screen.wallet.${wallet.kind}.why`)}</p>
      </div>
      {link.name !== 'live' && (
        <p role="status">
          {message('screen.link.lost')}. <RetryCountdown link={link} />
        </p>
      )}
      {wallet.address !== null && <Receive wallet={wallet} address={wallet.address} />}
      {wallet.kind === 'none' && <Ways onWords={setWords} />}
      {wallet.kind === 'own' && (
        <div className="pair">
          <Lock wallet={wallet} />
          <BackUp wallet={wallet} onWords={setWords} />
        </div>
      )}
      {wallet.kind === 'watch' && <StopWatching />}
      {wallet.kind !== 'watch' && (
        <details>
          <summary>{message('screen.wallet.plainly.what')}</summary>
          <p className="soft">{message('screen.wallet.plainly')}</p>
        </details>
      )}
    </div>
  );
}

function Receive({ wallet, address }: { wallet: WalletStatus; address: string }): React.ReactNode {
  return (
    <section className="card receive" aria-labelledby="receive-title">
      <Qr address={address} />
      <div>
        <h2 id="receive-title">{message('screen.wallet.receive')}</h2>
        <p className="mono address">{address}</p>
        <CopyButton text={address} what="screen.copy.wallet" />
        {wallet.payee !== address && <p className="soft">{message('screen.wallet.later', { payee: shortAddress(wallet.payee) })}</p>}
      </div>
    </section>
  );
}

function StopWatching(): React.ReactNode {
  const { wallet } = useAgent();
  const act = useAct();
  return (
    <div>
      <button type="button" className="plain" onClick={() => void act.run(() => wallet.watch(null))}>
        {message('screen.wallet.watch.remove')}
      </button>
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
    </div>
  );
}

function Trouble({ trouble }: { trouble: NonNullable<AppState['walletTrouble']> }): React.ReactNode {
  const { what, next, code } = sayError(trouble);
  return (
    <div className="wallet" role="alert">
      <h1>{message('screen.wallet.broken')}</h1>
      <p>{what}</p>
      <p className="soft">{next}</p>
      <p className="faint">{message('screen.notice.code', { code })}</p>
    </div>
  );
}
