import type { AssetForecast } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { Trouble } from '../frame/trouble.tsx';
import { moneyText } from '../words/amounts.ts';
import { say } from '../words/say.ts';
import { dayText } from '../words/times.ts';
import { useAsked } from '../words/use-asked.ts';

const DAYS = 7;

/** What the week ahead may bring: a range, and how such ranges did in the past. */
export function Forecast({ zone, news }: { zone: string; news: string }): React.ReactNode {
  const { earnings } = useAgent();
  const { value: forecast, trouble } = useAsked(() => earnings.forecast(zone, DAYS), zone, news);
  return (
    <section className="card" aria-labelledby="forecast-title">
      <div className="head">
        <h2 id="forecast-title">{message('earned.forecast', { days: DAYS })}</h2>
      </div>
      {trouble !== null && <Trouble error={trouble} />}
      {forecast !== null && forecast.reason !== null && <p className="soft">{say(forecast.reason)}</p>}
      {forecast?.assets.map((each) => (
        <Range key={each.asset} forecast={each} />
      ))}
    </section>
  );
}

function Range({ forecast }: { forecast: AssetForecast }): React.ReactNode {
  const { least, most, past, held, missedBy } = forecast;
  return (
    <div className="forecast">
      <p className="estimate">{message('earned.forecast.range', { least: moneyText(least, forecast), most: moneyText(most, forecast) })}</p>
      <p className="soft">
        {held === null || missedBy === null
          ? message('earned.forecast.untried')
          : message('earned.forecast.held', { held: Math.round(held * 100), missed: Math.round(missedBy * 100), count: past.length })}
      </p>
      {past.length > 0 && (
        <details>
          <summary>{message('earned.forecast.past')}</summary>
          <table>
            <thead>
              <tr>
                <th scope="col">{message('earned.forecast.week')}</th>
                <th scope="col">{message('earned.forecast.said')}</th>
                <th scope="col">{message('earned.forecast.came')}</th>
              </tr>
            </thead>
            <tbody>
              {past.map((each) => (
                <tr key={each.from}>
                  <th scope="row">{dayText(each.from)}</th>
                  <td className="estimate">
                    {message('earned.forecast.between', { least: moneyText(each.least, forecast), most: moneyText(each.most, forecast) })}
                  </td>
                  <td>{moneyText(each.came, forecast)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </div>
  );
}
