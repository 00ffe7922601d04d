import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { assetsOn } from '../../core/contract/sending.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { useAgent } from '../agent/agent.ts';
import type { Money } from '../agent/app-state.ts';
import type { PlannedSend } from '../agent/money-acts.ts';
import { OpenWallet } from '../frame/lock.tsx';
import { exactText } from '../words/amounts.ts';
import { useAct } from '../words/use-act.ts';
import { Chunks } from './address.tsx';
import { Field, Select, Submit } from './fields.tsx';
import { LimitForm } from './limits.tsx';
import { Confirm } from './send-confirm.tsx';

/** Money that leaves: typed, planned by the signer, confirmed with the password over what the signer reads. */
export function Send({ wallet: { unlocked }, money }: { wallet: WalletStatus; money: Money }): React.ReactNode {
  const [planned, setPlanned] = useState<PlannedSend | null>(null);
  const [sent, setSent] = useState(false);
  const { chains } = money.status;
  return (
    <section className="card send" aria-labelledby="send-title">
      <div className="head">
        <h2 id="send-title">{message('money.send')}</h2>
      </div>
      {sent && (
        <p role="status" className="ok">
          {message('money.send.sent')}
        </p>
      )}
      {chains.length === 0 ? (
        <p className="empty">{message('money.balances.no-chain')}</p>
      ) : !unlocked ? (
        <>
          <p className="soft">{message('money.send.locked')}</p>
          <OpenWallet />
        </>
      ) : planned === null ? (
        <Form
          money={money}
          onPlanned={(next) => {
            setSent(false);
            setPlanned(next);
          }}
        />
      ) : (
        <Confirm
          planned={planned}
          limits={money.limits}
          onBack={() => setPlanned(null)}
          onSent={() => {
            setPlanned(null);
            setSent(true);
          }}
        />
      )}
    </section>
  );
}

function Form({
  money: { status, contacts, limits },
  onPlanned,
}: {
  money: Money;
  onPlanned(planned: PlannedSend): void;
}): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const { chains, networks } = status;
  const [chainId, setChainId] = useState(networks[0]?.chainId ?? chains[0]?.chainId ?? 0);
  const [token, setToken] = useState('');
  const [to, setTo] = useState('');
  const [amount, setAmount] = useState('');
  const chain = chains.find((each) => each.chainId === chainId) ?? chains[0];
  if (chain === undefined) return null;
  const assets = assetsOn(chain);
  const asset = assets.find((each) => each.token === token) ?? assets[0];
  if (asset === undefined) return null;
  const limit = limits.find((each) => each.asset === asset.asset);
  const isAddress = /^0x[0-9a-fA-F]{40}$/.test(to.trim());

  return (
    <>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (to.trim() === '' || amount.trim() === '') return act.refuse(message('screen.wallet.import.empty'));
          const request = {
            chainId: chain.chainId,
            to: to.trim(),
            amount: amount.trim().replace(',', '.'),
            asset: asset === assets[0] ? null : asset.token,
          };
          void act.run(async () => onPlanned(await money.planSend(request)));
        }}
      >
        <div className="amounts">
          <Select
            label={message('money.send.chain')}
            value={String(chain.chainId)}
            options={chains.map((each) => ({ value: String(each.chainId), name: each.name }))}
            onChange={(value) => {
              setChainId(Number(value));
              setToken('');
            }}
          />
          <Select
            label={message('money.send.asset')}
            value={asset.token}
            options={assets.map((each) => ({ value: each.token, name: each.symbol }))}
            onChange={setToken}
          />
        </div>
        <div>
          <Field label={message('money.send.to')} value={to} onChange={setTo} mono hint={message('money.send.to.hint')} />
          {isAddress && (
            <p className="typed" role="status">
              <span className="faint">{message('money.send.compare')}</span> <Chunks address={to.trim()} />
            </p>
          )}
          {contacts.length > 0 && (
            <p className="picks">
              <span className="faint">{message('money.send.contacts')}</span>{' '}
              {contacts.slice(0, 8).map(({ name }) => (
                <button key={name} type="button" className="plain" onClick={() => setTo(name)}>
                  {name}
                </button>
              ))}
            </p>
          )}
        </div>
        <Field label={message('money.send.amount', { symbol: asset.symbol })} value={amount} onChange={setAmount} />
        <p className="faint">
          {limit === undefined
            ? message('money.send.no-limit', { symbol: asset.symbol })
            : message('money.send.limit', { perDay: exactText(limit.perDay, asset), spent: exactText(limit.spent, asset) })}
        </p>
        <Submit act={act} label={message('money.send.look')} ghost />
      </form>
      {limit === undefined && <LimitForm asset={asset} />}
    </>
  );
}
