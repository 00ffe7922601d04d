import { useRef, useState } from 'react';
import type { EarningsRow } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { moneyText } from '../words/amounts.ts';
import { heights, rowName, sumsOf } from './rows.ts';

interface ChartProps {
  rows: readonly EarningsRow[];
  asset: { asset: string; symbol: string; decimals: number };
  /** Credits are not money, and look like it nowhere. */
  practice: boolean;
  label: string;
}

/** What was accepted, a bar an hour or a day. Each says when and how much on hover and on focus; the arrow keys walk from one to the next. */
export function Chart({ rows, asset, practice, label }: ChartProps): React.ReactNode {
  const [shown, setShown] = useState<number | null>(null);
  const [stop, setStop] = useState(rows.length - 1);
  const bars = useRef<HTMLDivElement>(null);
  const shares = heights(rows, asset.asset);
  const stopAt = Math.max(0, Math.min(stop, rows.length - 1));
  const words = (row: EarningsRow): string =>
    message('earned.bar', {
      when: rowName(row),
      what: amountWords(row, asset, practice),
      tasks: sumsOf(row, asset.asset)?.acceptedShards ?? 0,
    });
  const shownRow = shown === null ? undefined : rows[shown];

  function walk(event: React.KeyboardEvent): void {
    const to = { ArrowLeft: stopAt - 1, ArrowRight: stopAt + 1, Home: 0, End: rows.length - 1 }[event.key];
    const target = to === undefined ? null : bars.current?.querySelectorAll('button')[to];
    if (target == null) return;
    event.preventDefault();
    target.focus();
  }

  const [first, last] = [rows[0], rows.at(-1)];
  return (
    <figure className={practice ? 'chart practice' : 'chart'}>
      <figcaption className={shownRow === undefined ? 'faint' : 'soft'}>{shownRow === undefined ? label : words(shownRow)}</figcaption>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for what is filled in */}
      <div className="bars" role="group" aria-label={label} ref={bars} onKeyDown={walk} onPointerLeave={() => setShown(null)}>
        {rows.map((row, index) => (
          <button
            key={row.key.by === 'hour' || row.key.by === 'day' ? row.key.from : rowName(row)}
            type="button"
            tabIndex={index === stopAt ? 0 : -1}
            aria-label={words(row)}
            onPointerEnter={() => setShown(index)}
            onFocus={() => {
              setShown(index);
              setStop(index);
            }}
            onBlur={() => setShown(null)}
          >
            <i style={{ height: `${(shares[index] ?? 0) * 100}%` }} className={(shares[index] ?? 0) > 0 ? 'some' : undefined} />
          </button>
        ))}
      </div>
      {first !== undefined && last !== undefined && (
        <div className="axis" aria-hidden="true">
          <span>{rowName(first)}</span>
          <span>{rowName(last)}</span>
        </div>
      )}
    </figure>
  );
}

function amountWords(row: Pick<EarningsRow, 'money' | 'practice'>, asset: ChartProps['asset'], practice: boolean): string {
  const accepted = sumsOf(row, asset.asset)?.accepted ?? '0';
  return practice ? message('earned.credits', { credits: accepted }) : moneyText(accepted, asset);
}

/** The same for networks, models and GPUs: one line each, longest first. */
export function Lines({ rows, asset, practice }: Omit<ChartProps, 'label'>): React.ReactNode {
  const shares = heights(rows, asset.asset);
  return (
    <ul className={practice ? 'lines practice' : 'lines'}>
      {rows.map((row, index) => (
        <li key={rowName(row)}>
          <span>{rowName(row)}</span>
          <span className="number">{amountWords(row, asset, practice)}</span>
          <i style={{ width: `${(shares[index] ?? 0) * 100}%` }} />
        </li>
      ))}
    </ul>
  );
}
