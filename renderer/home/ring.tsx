import { countText, todaysNumber } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';

const RADIUS = 92;
const ROUND = 2 * Math.PI * RADIUS;
/** From this many characters on the number is set smaller, and smaller again, to stay inside the ring. */
const LONG = 8;
const LONGEST = 14;

/** The one number, inside the worker's real load. */
export function Ring({ earnings, load }: { earnings: Snapshot['earnings']; load: number | null | 'unknown' }): React.ReactNode {
  const today = todaysNumber(earnings);
  const number = today.unit === 'money' ? `+${today.amount}` : countText(today.count);
  const unit =
    today.unit === 'money' ? message('screen.hero.money', { symbol: today.symbol }) : message('screen.hero.tasks', { count: today.count });
  const words = loadWords(load);
  const share = typeof load === 'number' ? load : 0;
  return (
    <div className="ring">
      <svg viewBox="0 0 208 208" role="img" aria-label={words.long}>
        <circle className="track" cx="104" cy="104" r={RADIUS} />
        {share > 0 && (
          <circle className="load" cx="104" cy="104" r={RADIUS} strokeDasharray={ROUND} strokeDashoffset={ROUND * (1 - share)} />
        )}
      </svg>
      <div>
        <p>
          <span className={`number ${number.length < LONG ? '' : number.length < LONGEST ? 'long' : 'longest'}`}>{number}</span>{' '}
          <span className="unit">{unit}</span>
        </p>
        <p className="unit" aria-hidden="true">
          {words.short}
        </p>
      </div>
    </div>
  );
}

function loadWords(load: number | null | 'unknown'): { short: string; long: string } {
  if (load === 'unknown') return { short: message('screen.hero.unknown-load'), long: message('screen.ring.unknown') };
  if (load === null) return { short: message('screen.hero.no-load'), long: message('screen.ring.rest') };
  const percent = Math.round(load * 100);
  return { short: message('screen.hero.load', { percent }), long: message('screen.ring.load', { percent }) };
}
