import { useMemo, useRef, useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { useNow } from '../frame/use-now.ts';
import { say } from '../words/say.ts';
import { durationText, timeText } from '../words/times.ts';
import { dayHours, daySegments, daySummary, type Segment } from './day-segments.ts';

const CLOCK_MS = 30_000;

/** Today as a bar. Each stretch says when, how long and why, on hover and on focus; the arrow keys walk from one to the next. */
export function Day({ day }: { day: Snapshot['day'] }): React.ReactNode {
  const clock = useNow(CLOCK_MS);
  const segments = useMemo(() => daySegments(day), [day]);
  const [shown, setShown] = useState<number | null>(null);
  // The one stretch that Tab stops at.
  const [stop, setStop] = useState(0);
  const bar = useRef<HTMLDivElement>(null);
  // The last stretch may have been told of since the clock was read.
  const now = Math.max(clock, segments.at(-1)?.to ?? 0);
  const lengthMs = day.end - day.start;
  const share = (ms: number): string => `${((100 * ms) / lengthMs).toFixed(3)}%`;
  const stopAt = Math.min(stop, segments.length - 1);
  const shownSegment = shown === null ? undefined : segments[shown];

  function walk(event: React.KeyboardEvent): void {
    const to = { ArrowLeft: stopAt - 1, ArrowRight: stopAt + 1, Home: 0, End: segments.length - 1 }[event.key];
    const target = to === undefined ? null : bar.current?.querySelectorAll('button')[to];
    if (target == null) return;
    event.preventDefault();
    target.focus();
  }

  return (
    <section className="day" aria-labelledby="day">
      <div className="label">
        <h2 id="day">{message('screen.day')}</h2>
        <span className={shownSegment === undefined ? 'faint' : 'soft'}>
          {shownSegment === undefined ? summaryWords(day) : segmentWords(shownSegment)}
        </span>
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for what is filled in */}
      <div className="bar" role="group" aria-labelledby="day" ref={bar} onKeyDown={walk} onPointerLeave={() => setShown(null)}>
        {segments.map((segment, index) => (
          <button
            key={segment.from}
            type="button"
            className={segment.kind}
            style={{ right: share(day.end - segment.to), width: share(segment.to - segment.from) }}
            tabIndex={index === stopAt ? 0 : -1}
            aria-label={segmentWords(segment)}
            onPointerEnter={() => setShown(index)}
            onFocus={() => {
              setShown(index);
              setStop(index);
            }}
            onBlur={() => setShown(null)}
          />
        ))}
        {now >= day.start && now <= day.end && (
          <i className="now" style={{ left: share(now - day.start) }} title={message('screen.day.now')} />
        )}
      </div>
      <div className="hours" aria-hidden="true">
        {dayHours(day).map(({ at, fraction }, index, all) => (
          <span key={at} style={{ left: `${fraction * 100}%` }}>
            {index === all.length - 1 ? message('screen.day.end') : timeText(at)}
          </span>
        ))}
      </div>
    </section>
  );
}

function segmentWords({ kind, from, to, ms, reason }: Segment): string {
  const duration = durationText(ms);
  const what = kind === 'worked' ? message('screen.day.span.worked', { duration }) : message('screen.day.span.aside', { duration });
  const span = message('screen.day.span', { from: timeText(from), to: timeText(to), what });
  return reason === null ? span : message('screen.day.span.why', { span, reason: say(reason) });
}

function summaryWords(day: Snapshot['day']): string {
  const { workedMs, asideMs, asideCount } = daySummary(day);
  const worked = workedMs > 0 ? message('screen.day.worked', { worked: durationText(workedMs) }) : '';
  const aside =
    asideCount > 0
      ? message('screen.day.aside-for', {
          aside: message('screen.day.aside', { count: asideCount }),
          duration: durationText(asideMs),
        })
      : '';
  if (worked !== '' && aside !== '') return message('screen.day.join', { first: worked, second: aside });
  return worked || aside || message('screen.day.nothing');
}
