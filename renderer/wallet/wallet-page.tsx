import { useEffect, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { ChainRow } from '../../core/contract/payments.ts';
import type { RevealedWords } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import type { AppState } from '../agent/app-state.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { RetryCountdown } from '../frame/retry.tsx';
import { shortAddress } from '../words/plain.ts';
import { sayError } from '../words/say.ts';
import { useAct } from '../words/use-act.ts';
import { Automatic } from './automatic.tsx';
import { Balances } from './balances.tsx';
import { Contacts } from './contacts.tsx';
import { Delegation } from './delegation.tsx';
import { Limits } from './limits.tsx';
import { Owed } from './owed.tsx';
import { BackUp, Lock } from './own.tsx';
import { Qr } from './qr.tsx';
import { Send } from './send.tsx';
import { Transactions } from './transactions.tsx';
import { Ways } from './ways.tsx';
import { Words } from './words.tsx';

/** Where am I paid, and is it locked? */
export function WalletPage({ state: { wallet, walletTrouble, money, moneyTrouble, link } }: { state: AppState }): React.ReactNode {
  const agent = useAgent();
  // Here and nowhere else in the page: they are gone when somebody leaves it.
  const [words, setWords] = useState<RevealedWords | null>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, for as long as the page is shown
  useEffect(() => agent.money.watch(), []);
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
      {wallet.kind === 'own' && !wallet.backedUp && <BackUp wallet={wallet} onWords={setWords} />}
      {wallet.kind === 'none' && <Ways onWords={setWords} />}
      {moneyTrouble !== null && <MoneyTrouble trouble={moneyTrouble} />}
      {money !== null && (money.status.networks.length > 0 || wallet.kind !== 'none') && <Owed status={money.status} />}
      {money !== null && <Transactions status={money.status} />}
      {wallet.address !== null && (
        <div className="pair">
          <Receive wallet={wallet} address={wallet.address} chains={money?.status.chains ?? []} />
          {money !== null && <Balances status={money.status} address={wallet.address} />}
        </div>
      )}
      {wallet.kind === 'own' && money !== null && (
        <>
          <Send wallet={wallet} money={money} />
          <div className="pair">
            <Limits money={money} />
            <Contacts money={money} />
          </div>
        </>
      )}
      {money !== null && money.status.networks.length > 0 && <Automatic money={money} />}
      {money !== null && wallet.kind !== 'none' && <Delegation wallet={wallet} identity={money.identity} />}
      {wallet.kind === 'own' && (
        <div className="pair">
          <Lock wallet={wallet} />
          {wallet.backedUp && <BackUp wallet={wallet} onWords={setWords} />}
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

function Receive({ wallet, address, chains }: { wallet: WalletStatus; address: string; chains: readonly ChainRow[] }): React.ReactNode {
  return (
    <section className="card receive" aria-labelledby="receive-title">
      <Qr address={address} />
      <div>
        <h2 id="receive-title">{message('screen.wallet.receive')}</h2>
        <p className="mono address">{address}</p>
        <CopyButton text={address} what="screen.copy.wallet" />
        {chains.length > 0 && <p className="soft">{message('money.receive.on', { chains: chains.map(({ name }) => name).join(', ') })}</p>}
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

function MoneyTrouble({ trouble }: { trouble: NonNullable<AppState['moneyTrouble']> }): React.ReactNode {
  const { what, next, code } = sayError(trouble);
  return (
    <section className="card" role="alert">
      <h2>{message('money.broken')}</h2>
      <p>
        {what} <span className="soft">{next}</span>
      </p>
      <p className="faint">{message('screen.notice.code', { code })}</p>
    </section>
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
