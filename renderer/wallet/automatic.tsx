import { useEffect, useState } from 'react';
import { NATIVE_DECIMALS } from '../../core/contract/chain.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, parseBaseUnits } from '../../core/contract/money.ts';
import type { ClaimSettings, PaymentsStatus } from '../../core/contract/payments.ts';
import { useAgent } from '../agent/agent.ts';
import type { Money } from '../agent/app-state.ts';
import { CopyButton } from '../frame/copy-button.tsx';
import { Check } from '../networks/choices-form.tsx';
import { exactText } from '../words/amounts.ts';
import { say } from '../words/say.ts';
import { useAct } from '../words/use-act.ts';
import { Chunks } from './address.tsx';
import { Field, Submit } from './fields.tsx';

/** Claims without being asked: when one is worth it, and the key that pays their fees, by its name. */
export function Automatic({ money: { status, claims } }: { money: Money }): React.ReactNode {
  const { gasKey, gasKeyTrouble } = status;
  return (
    <section className="card" aria-labelledby="automatic-title">
      <div className="head">
        <h2 id="automatic-title">{message('money.automatic')}</h2>
        <span>{message(claims.automatic ? 'money.automatic.on' : 'money.automatic.off')}</span>
      </div>
      <p className="soft">{message('money.automatic.what')}</p>
      {gasKeyTrouble !== null && <p className="reason">{say(gasKeyTrouble)}</p>}
      {gasKey !== null && <GasKey address={gasKey.address} status={status} />}
      <Rules key={JSON.stringify(claims)} claims={claims} status={status} />
    </section>
  );
}

function GasKey({ address, status }: { address: string; status: PaymentsStatus }): React.ReactNode {
  const { money } = useAgent();
  const chainIds = [...new Set(status.networks.map(({ chainId }) => chainId))];
  const chains = status.chains.filter(({ chainId }) => chainIds.includes(chainId));
  const [balances, setBalances] = useState<ReadonlyMap<number, string | null>>(new Map());
  const ended = status.transactions.filter(({ state }) => state !== 'pending').length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew when a transaction has moved something
  useEffect(() => {
    let gone = false;
    for (const chainId of chainIds) {
      const told = (gas: string | null) => !gone && setBalances((before) => new Map(before).set(chainId, gas));
      money.balances(chainId).then(
        ({ gas }) => told(gas),
        () => told(null),
      );
    }
    return () => {
      gone = true;
    };
  }, [address, ended, chainIds.join(' ')]);
  return (
    <div className="gas">
      <p>
        <b>{message('money.gas')}</b> <span className="soft">{message('money.gas.what')}</span>
      </p>
      <p>
        <Chunks address={address} /> <CopyButton text={address} what="money.copy.gas" />
      </p>
      {chains.length > 0 && (
        <dl className="facts">
          {chains.map((chain) => {
            const gas = balances.get(chain.chainId);
            return (
              <div key={chain.chainId} className="fact">
                <dt>{message('money.gas.on', { chain: chain.name })}</dt>
                <dd>
                  {gas === undefined || gas === null
                    ? message('money.unknown')
                    : exactText(gas, { decimals: NATIVE_DECIMALS, symbol: chain.symbol })}
                </dd>
              </div>
            );
          })}
        </dl>
      )}
      <p className="faint">{message('money.gas.top-up')}</p>
    </div>
  );
}

function Rules({ claims, status }: { claims: ClaimSettings; status: PaymentsStatus }): React.ReactNode {
  const { money } = useAgent();
  const act = useAct();
  const assets = [...new Map(status.networks.map((each) => [each.asset, each])).values()];
  const leastOf = (asset: string) => claims.least.find((each) => each.asset === asset)?.amount;
  const [automatic, setAutomatic] = useState(claims.automatic);
  const [least, setLeast] = useState<Record<string, string>>(() =>
    Object.fromEntries(assets.map(({ asset, decimals }) => [asset, formatBaseUnits(BigInt(leastOf(asset) ?? '0'), decimals)])),
  );
  const [share, setShare] = useState(String(claims.maxFeeBasisPoints / 100));
  const [cap, setCap] = useState(formatBaseUnits(BigInt(claims.gasCapPerDay), NATIVE_DECIMALS));
  const [kept, setKept] = useState(false);

  function save(): void {
    setKept(false);
    const points = Math.round(Number(share.replace(',', '.')) * 100);
    const capPerDay = parseBaseUnits(cap.replace(',', '.'), NATIVE_DECIMALS);
    const amounts = assets.map(({ asset, decimals }) => ({
      asset,
      amount: parseBaseUnits((least[asset] ?? '0').replace(',', '.'), decimals),
    }));
    if (!(points >= 1 && points <= 10_000)) {
      act.refuse(message('money.automatic.share.wrong'));
      return;
    }
    if (capPerDay === null || amounts.some(({ amount }) => amount === null)) {
      act.refuse(message('money.automatic.amount.wrong'));
      return;
    }
    const others = claims.least.filter(({ asset }) => !assets.some((each) => each.asset === asset));
    const wanted = amounts.flatMap(({ asset, amount }) => (amount === null || amount === 0n ? [] : [{ asset, amount: amount.toString() }]));
    void act
      .run(() =>
        money.setClaims({ automatic, least: [...others, ...wanted], maxFeeBasisPoints: points, gasCapPerDay: capPerDay.toString() }),
      )
      .then(setKept);
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <Check checked={automatic} label={message('money.automatic.do')} onChange={setAutomatic} />
      <div className="amounts">
        {assets.map(({ asset, symbol }) => (
          <Field
            key={asset}
            label={message('money.automatic.least', { symbol })}
            hint={message('money.automatic.least.hint')}
            value={least[asset] ?? '0'}
            onChange={(value) => setLeast({ ...least, [asset]: value })}
          />
        ))}
        <Field label={message('money.automatic.share')} hint={message('money.automatic.share.hint')} value={share} onChange={setShare} />
        <Field label={message('money.automatic.cap')} hint={message('money.automatic.cap.hint')} value={cap} onChange={setCap} />
      </div>
      <Submit act={act} label={message('money.automatic.keep')} ghost>
        {kept && (
          <span className="ok" role="status">
            {message('money.saved')}
          </span>
        )}
      </Submit>
    </form>
  );
}
