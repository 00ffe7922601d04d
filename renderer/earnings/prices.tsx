import { useState } from 'react';
import type { PriceStatus } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { PriceSettings } from '../../core/contract/prices.ts';
import type { AssetEarnings } from '../../core/contract/snapshot.ts';
import { useAgent } from '../agent/agent.ts';
import { Trouble } from '../frame/trouble.tsx';
import { Choice } from '../wallet/choice.tsx';
import { Field, Select, Submit } from '../wallet/fields.tsx';
import { say } from '../words/say.ts';
import { dateTimeText } from '../words/times.ts';
import { useAct } from '../words/use-act.ts';
import { useAsked } from '../words/use-asked.ts';

const KINDS = [
  { value: 'manual', name: 'earned.price.manual' },
  { value: 'url', name: 'earned.price.url' },
] as const;

/** What a token is worth to see it in a currency: a view with its date and source, never the amount. Nowhere by default. */
export function Prices({ assets, onChange }: { assets: readonly AssetEarnings[]; onChange(): void }): React.ReactNode {
  const { earnings } = useAgent();
  const { value: prices, trouble, again } = useAsked(() => earnings.prices(false), 'all', '');
  const act = useAct();
  const changed = () => {
    again();
    onChange();
  };
  return (
    <section className="card" aria-labelledby="prices-title">
      <div className="head">
        <h2 id="prices-title">{message('earned.prices')}</h2>
      </div>
      <p className="soft">{message('earned.prices.why')}</p>
      {trouble !== null && <Trouble error={trouble} />}
      {prices !== null && prices.length > 0 && (
        <ul className="prices">
          {prices.map((price) => (
            <li key={price.asset}>
              <span>
                <b>{priceText(price)}</b> <span className="faint">{sourceText(price)}</span>
                {price.problem !== null && <span className="bad"> {say(price.problem)}</span>}
              </span>
              <button
                type="button"
                className="plain"
                aria-label={message('earned.price.unset.what', { symbol: price.symbol })}
                onClick={() => void act.run(() => earnings.setPrice(price.asset, null)).then(changed)}
              >
                {message('earned.price.unset')}
              </button>
            </li>
          ))}
        </ul>
      )}
      {act.trouble !== null && (
        <p className="bad" role="alert">
          {act.trouble}
        </p>
      )}
      <details>
        <summary>{message('earned.price.set')}</summary>
        <SetPrice assets={assets} onDone={changed} />
      </details>
    </section>
  );
}

function priceText({ symbol, currency, latest }: PriceStatus): string {
  return latest === null
    ? message('earned.price.unknown', { symbol })
    : message('earned.price.is', { symbol, price: latest.price, currency });
}

function sourceText({ source, latest }: PriceStatus): string {
  const at = latest === null ? '' : dateTimeText(latest.at);
  const from = source.kind === 'manual' ? message('earned.price.yours') : new URL(source.url).host;
  return at === '' ? from : message('earned.price.of', { at, from });
}

function SetPrice({ assets, onDone }: { assets: readonly AssetEarnings[]; onDone(): void }): React.ReactNode {
  const { earnings } = useAgent();
  const act = useAct();
  const [asset, setAsset] = useState(assets[0]?.asset ?? '');
  const [kind, setKind] = useState<(typeof KINDS)[number]['value']>('manual');
  const [price, setPrice] = useState('');
  const [currency, setCurrency] = useState('EUR');
  const [url, setUrl] = useState('');
  const [path, setPath] = useState('');
  const [kept, setKept] = useState(false);

  function save(): void {
    setKept(false);
    const source =
      kind === 'manual'
        ? { kind, price: price.trim().replace(',', '.'), at: Date.now() }
        : { kind, url: url.trim(), path: path.trim(), everyMinutes: 60 };
    const wanted = PriceSettings.safeParse([{ asset, currency: currency.trim().toUpperCase(), source }]);
    const [checked] = wanted.success ? wanted.data : [];
    if (checked === undefined) {
      act.refuse(message(kind === 'manual' ? 'earned.price.wrong' : 'earned.price.url.wrong'));
      return;
    }
    void act
      .run(() => earnings.setPrice(asset, { currency: checked.currency, source: checked.source }))
      .then((worked) => {
        setKept(worked);
        if (worked) onDone();
      });
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <Choice legend={message('earned.price.from')} name="price-kind" options={KINDS} value={kind} onChange={setKind} />
      <div className="amounts">
        <Select
          label={message('money.send.asset')}
          value={asset}
          options={assets.map((each) => ({ value: each.asset, name: each.symbol }))}
          onChange={setAsset}
        />
        <Field label={message('earned.price.currency')} value={currency} onChange={setCurrency} />
        {kind === 'manual' ? (
          <Field label={message('earned.price.one')} value={price} onChange={setPrice} />
        ) : (
          <>
            <Field label={message('earned.price.address')} hint={message('earned.price.address.hint')} value={url} onChange={setUrl} mono />
            <Field label={message('earned.price.path')} hint={message('earned.price.path.hint')} value={path} onChange={setPath} mono />
          </>
        )}
      </div>
      <Submit act={act} label={message('earned.price.keep')} ghost>
        {kept && (
          <span className="ok" role="status">
            {message('money.saved')}
          </span>
        )}
      </Submit>
    </form>
  );
}
