import { useState } from 'react';
import { moneyFirst } from '../../core/contract/amounts.ts';
import type { EarningsReport } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import type { AssetEarnings, Snapshot } from '../../core/contract/snapshot.ts';
import { useAgent } from '../agent/agent.ts';
import type { AppState } from '../agent/app-state.ts';
import { RetryCountdown } from '../frame/retry.tsx';
import { Trouble } from '../frame/trouble.tsx';
import { ADDRESS } from '../frame/use-route.ts';
import { FourNumbers } from '../home/four-numbers.tsx';
import { Choice } from '../wallet/choice.tsx';
import { moneyText } from '../words/amounts.ts';
import { useAsked } from '../words/use-asked.ts';
import { Chart, Lines } from './chart.tsx';
import { Divergences } from './divergences.tsx';
import { Export } from './export.tsx';
import { Forecast } from './forecast.tsx';
import { earningsHeadline } from './headline.ts';
import { Power } from './power.tsx';
import { Prices } from './prices.tsx';
import { hereZone, queryFor, SIDES, type Side, SPANS, type Span } from './span.ts';
import { Table } from './table.tsx';

const SPAN_NAMES = SPANS.map((value) => ({ value, name: `earned.span.${value}` as const }));
const SIDE_NAMES = SIDES.map((value) => ({ value, name: `earned.side.${value}` as const }));

/** What did my PC earn, and what of it has come? */
export function EarningsPage({ state: { link }, snapshot }: { state: AppState; snapshot: Snapshot }): React.ReactNode {
  const { earnings } = useAgent();
  const [span, setSpan] = useState<Span>('week');
  const [side, setSide] = useState<Side>('time');
  const [priced, setPriced] = useState(0);
  const zone = hereZone();
  const live = link.name === 'live';
  const news = `${live} ${priced} ${snapshot.earnings.map(({ accepted, promised, paid }) => `${accepted} ${promised} ${paid}`).join(' ')}`;
  const { value: report, trouble } = useAsked(() => earnings.report(queryFor(span, side, Date.now(), zone)), `${span} ${side}`, news);
  const money = snapshot.earnings.filter(({ practice }) => !practice);

  if (report === null) {
    return (
      <div className="earnings">
        <h1 role="status">{message(trouble === null ? 'earned.looking' : 'earned.broken')}</h1>
        {trouble !== null && <Trouble error={trouble} />}
      </div>
    );
  }
  const { title, why } = earningsHeadline(report, span);
  return (
    <div className={live ? 'earnings' : 'earnings stale'}>
      <div className="top">
        <div>
          <h1>{title}</h1>
          <p className="why">{why}</p>
          {!live && (
            <p role="status">
              {message('screen.link.lost')}. <RetryCountdown link={link} />
            </p>
          )}
        </div>
        <Open money={money} />
      </div>
      {trouble !== null && <Trouble error={trouble} />}
      {money.length === 0 && (
        <div className="press">
          <a className="button" href={ADDRESS.networks}>
            {message('earned.none.next')}
          </a>
        </div>
      )}
      {money.length > 0 && <FourNumbers earnings={money} explained />}
      <div className="choices">
        <Choice legend={message('earned.span')} name="span" options={SPAN_NAMES} value={span} onChange={setSpan} />
        <Choice legend={message('earned.side')} name="side" options={SIDE_NAMES} value={side} onChange={setSide} />
      </div>
      {money.length > 0 && <Picture report={report} kind="money" />}
      {report.total.practice.length > 0 && <Picture report={report} kind="practice" />}
      {money.length > 0 && (
        <>
          <div className="pair">
            <Power report={report} />
            <Forecast zone={zone} news={news} />
          </div>
          <Divergences news={news} />
          <Prices assets={moneyFirst(money)} onChange={() => setPriced(priced + 1)} />
        </>
      )}
      <Export money={money.length > 0} />
    </div>
  );
}

/** What was accepted and has not been paid: the way to it is on the Wallet page. */
function Open({ money }: { money: readonly AssetEarnings[] }): React.ReactNode {
  const open = money
    .map((each) => ({ ...each, open: (BigInt(each.accepted) - BigInt(each.paid)).toString() }))
    .filter(({ open: left }) => left !== '0');
  if (open.length === 0) return null;
  return (
    <p className="number">
      <b>{open.map((each) => moneyText(each.open, each)).join(' + ')}</b> <a href={ADDRESS.wallet}>{message('earned.open')}</a>
    </p>
  );
}

/** The picture of one asset at a time, and its table. Practice stands apart: it is no money. */
function Picture({ report, kind }: { report: EarningsReport; kind: 'money' | 'practice' }): React.ReactNode {
  const assets = report.total[kind];
  const [chosen, setChosen] = useState('');
  const [first] = assets;
  const asset = assets.find((each) => each.asset === chosen) ?? first;
  if (asset === undefined) return null;
  const practice = kind === 'practice';
  const bySpan = report.query.by === 'hour' || report.query.by === 'day';
  const label = message(practice ? 'earned.chart.practice' : 'earned.chart', { by: report.query.by, symbol: asset.symbol });
  return (
    <section className={`card picture ${kind}`} aria-labelledby={`picture-${kind}`}>
      <div className="head">
        <h2 id={`picture-${kind}`}>{message(practice ? 'earned.practice' : 'earned.money')}</h2>
        {assets.length > 1 && (
          <span className="assets">
            {assets.map((each) => (
              <button
                key={each.asset}
                type="button"
                className="plain"
                aria-pressed={each.asset === asset.asset}
                onClick={() => setChosen(each.asset)}
              >
                {each.symbol}
              </button>
            ))}
          </span>
        )}
      </div>
      {practice && <p className="soft">{message('earned.practice.why')}</p>}
      {bySpan ? (
        <Chart rows={report.rows} asset={asset} practice={practice} label={label} />
      ) : (
        <Lines
          rows={report.rows.filter((row) => [...row.money, ...row.practice].some((each) => each.asset === asset.asset))}
          asset={asset}
          practice={practice}
        />
      )}
      <details>
        <summary>{message('earned.table.show')}</summary>
        <Table report={report} asset={asset} practice={practice} />
      </details>
    </section>
  );
}
