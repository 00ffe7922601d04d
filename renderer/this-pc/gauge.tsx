import { message } from '../../core/contract/messages.ts';
import { type Reading, tracePath } from './trace.ts';

const SPAN_MS = 120_000;
const WIDTH = 120;
const HEIGHT = 28;

interface GaugeProps {
  name: string;
  /** The value of now with its unit; null: unknown. */
  value: string | null;
  /** A word more: of how much, or what it means. */
  note?: string | null;
  readings: readonly Reading[];
  /** What the top of the picture stands for. */
  max: number;
  /** ms since 1970 at the right edge. */
  end: number;
  /** Drawn in the colour of work. */
  ember?: boolean;
}

/** One value of now with its last two minutes. What isn't told is said to be unknown, and has no line. */
export function Gauge({ name, value, note = null, readings, max, end, ember = false }: GaugeProps): React.ReactNode {
  const path = tracePath(readings, { end, spanMs: SPAN_MS, max, width: WIDTH, height: HEIGHT });
  return (
    <div className="gauge">
      <dt>{name}</dt>
      <dd>
        <span className={value === null ? 'reading unknown' : 'reading'}>{value ?? message('pc.unknown')}</span>
        {note !== null && <span className="note">{note}</span>}
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" className={ember ? 'trace ember' : 'trace'}>
          <path d={path} />
        </svg>
      </dd>
    </div>
  );
}
