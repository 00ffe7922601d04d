import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import { parseBaseUnits } from '../../core/contract/money.ts';
import { assetsOn, type SendableAsset } from '../../core/contract/sending.ts';
import { useAgent } from '../agent/agent.ts';
import type { Money } from '../agent/app-state.ts';
import { exactText } from '../words/amounts.ts';
import { useAct } from '../words/use-act.ts';
import { Field, Select, Submit } from './fields.tsx';

/** What may leave the wallet within a day. Whoever merely finds it open can't raise it. */
export function Limits({ money: { status, limits } }: { money: Money }): React.ReactNode {
  const assets = status.chains.flatMap((chain) => assetsOn(chain).map((asset) => ({ ...asset, chain: chain.name })));
  const [chosen, setChosen] = useState('');
  const asset = assets.find((each) => each.asset === chosen) ?? assets[0];
  return (
    <section className="card" aria-labelledby="limits-title">
      <div className="head">
        <h2 id="limits-title">{message('money.limits')}</h2>
      </div>
      {limits.length === 0 ? (
        <p className="soft">{message('money.limits.none')}</p>
      ) : (
        <ul className="limits">
          {limits.map(({ asset: id, perDay, spent }) => {
            const known = assets.find((each) => each.asset === id) ?? { decimals: 0, symbol: id, chain: '' };
            return (
              <li key={id}>
                <span>
                  {message('money.limits.row', { perDay: exactText(perDay, known), spent: exactText(spent, known) })}{' '}
                  <span className="faint">{known.chain}</span>
                </span>
                <meter min={0} max={1} value={share(spent, perDay)} aria-label={message('money.limits.used')} />
              </li>
            );
          })}
        </ul>
      )}
      {asset !== undefined && (
        <details>
          <summary>{message('money.limits.change')}</summary>
          <Select
            label={message('money.send.asset')}
            value={asset.asset}
            options={assets.map((each) => ({ value: each.asset, name: `${each.symbol} · ${each.chain}` }))}
            onChange={setChosen}
          />
          <LimitForm asset={asset} />
        </details>
      )}
    </section>
  );
}

function share(spent: string, perDay: string): number {
  return perDay === '0' ? 1 : Number((BigInt(spent) * 1000n) / BigInt(perDay)) / 1000;
}

/** Lets so much of an asset leave within a day: with the password. */
export function LimitForm({ asset: { asset, symbol, decimals } }: { asset: SendableAsset }): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const [perDay, setPerDay] = useState('');
  const [password, setPassword] = useState('');
  const [set, setSet] = useState(false);
  return (
    <form
      className="limit"
      onSubmit={(event) => {
        event.preventDefault();
        setSet(false);
        const amount = parseBaseUnits(perDay.replace(',', '.'), decimals);
        if (amount === null) return act.refuse(message('money.limits.number', { decimals }));
        if (password === '') return act.refuse(message('screen.wallet.password.empty'));
        const secret = { password, asset, perDay: amount.toString() };
        setPassword('');
        void act.run(() => money.limit(secret)).then(setSet);
      }}
    >
      <div className="amounts">
        <Field
          label={message('money.limits.per-day', { symbol })}
          hint={message('money.limits.hint')}
          value={perDay}
          onChange={setPerDay}
        />
        <Field
          label={message('money.limits.password')}
          type="password"
          autoComplete="current-password"
          value={password}
          onChange={setPassword}
        />
      </div>
      <Submit act={act} label={message('money.limits.set')} ghost>
        {set && (
          <span className="ok" role="status">
            {message('money.saved')}
          </span>
        )}
      </Submit>
    </form>
  );
}
