import { useEffect, useState } from 'react';
import { asHearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { ChainBalances, ChainRow, PaymentsStatus } from '../../core/contract/payments.ts';
import { useAgent } from '../agent/agent.ts';
import { exactText } from '../words/amounts.ts';
import { sayError } from '../words/say.ts';

/**
 * What the address has, chain by chain. A chain is asked by itself only where a network pays on it: to ask is to tell somebody's server that this
 * address and this PC belong together.
 */
export function Balances({ status, address }: { status: PaymentsStatus; address: string }): React.ReactNode {
  const paidOn = new Set(status.networks.map(({ chainId }) => chainId));
  return (
    <section className="card" aria-labelledby="balances-title">
      <div className="head">
        <h2 id="balances-title">{message('money.balances')}</h2>
      </div>
      {status.chains.length === 0 && <p className="empty">{message('money.balances.no-chain')}</p>}
      <ul className="balances">
        {status.chains.map((chain) => (
          <Chain
            key={`${chain.chainId} ${address}`}
            chain={chain}
            atOnce={paidOn.has(chain.chainId)}
            moves={movesOn(status, chain.chainId)}
          />
        ))}
      </ul>
      <p className="faint">{message('money.balances.why')}</p>
    </section>
  );
}

/** Changes whenever something of ours on that chain came to its end: the balance is another then. */
function movesOn({ transactions }: PaymentsStatus, chainId: number): number {
  return transactions.filter((each) => each.chainId === chainId && each.state !== 'pending').length;
}

function Chain({ chain, atOnce, moves }: { chain: ChainRow; atOnce: boolean; moves: number }): React.ReactNode {
  const { money } = useAgent();
  const [balances, setBalances] = useState<ChainBalances | null>(null);
  const [trouble, setTrouble] = useState<ReturnType<typeof sayError> | null>(null);
  const [busy, setBusy] = useState(false);
  const { chainId } = chain;

  async function ask(): Promise<void> {
    setBusy(true);
    try {
      setBalances(await money.balances(chainId));
      setTrouble(null);
    } catch (thrown) {
      setTrouble(sayError(asHearthlendError(thrown)));
    }
    setBusy(false);
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: asked at the beginning, and again when something has moved
  useEffect(() => {
    if (atOnce || balances !== null) void ask();
  }, [atOnce, moves]);

  return (
    <li>
      <div className="line">
        <span>
          {chain.name} {chain.test && <span className="tag">{message('money.chain.test')}</span>}
        </span>
        {balances === null ? (
          <button type="button" className="plain" aria-disabled={busy} onClick={() => void ask()}>
            {message(busy ? 'money.balances.asking' : 'money.balances.ask', { chain: chain.name })}
          </button>
        ) : (
          <button
            type="button"
            className="plain"
            aria-disabled={busy}
            onClick={() => void ask()}
            aria-label={message('money.balances.again', { chain: chain.name })}
          >
            {message(busy ? 'money.balances.asking' : 'money.balances.refresh')}
          </button>
        )}
      </div>
      {balances !== null && (
        <ul>
          {balances.assets.map((asset) => (
            <li key={asset.asset} className="amount">
              {asset.amount === null ? `${message('money.unknown')} (${asset.symbol})` : exactText(asset.amount, asset)}
            </li>
          ))}
        </ul>
      )}
      {trouble !== null && (
        <p className="bad" role="status">
          {trouble.what} {trouble.next} <span className="faint">{trouble.code}</span>
        </p>
      )}
    </li>
  );
}
