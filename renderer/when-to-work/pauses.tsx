import { useState } from 'react';
import { message } from '../../core/contract/messages.ts';
import type { Freed, PauseRecord } from '../../core/contract/policy.ts';
import { useNow } from '../frame/use-now.ts';
import { say } from '../words/say.ts';
import { durationText } from '../words/times.ts';

const SHOWN = 8;
const CLOCK_MS = 30_000;
const dateAndTime = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const MEMORY_GB_BYTES = 2 ** 30;

/** When it stepped aside in the last days: why, for how long, how fast it was gone, and what memory came back by measurement. */
export function Pauses({ pauses }: { pauses: readonly PauseRecord[] }): React.ReactNode {
  const now = useNow(CLOCK_MS);
  const [all, setAll] = useState(false);
  const newest = [...pauses].reverse();
  const shown = all ? newest : newest.slice(0, SHOWN);
  return (
    <section className="card" aria-labelledby="pauses">
      <div className="head">
        <h2 id="pauses">{message('when.pauses')}</h2>
        <span>{message('when.pauses.days')}</span>
      </div>
      {newest.length === 0 ? (
        <p className="empty">{message('when.pauses.none')}</p>
      ) : (
        <table className="pauses">
          <thead>
            <tr>
              <th scope="col">{message('when.pauses.when')}</th>
              <th scope="col">{message('when.pauses.why')}</th>
              <th scope="col">{message('when.pauses.long')}</th>
              <th scope="col">{message('when.pauses.yield')}</th>
              <th scope="col">{message('when.pauses.freed')}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ from, to, reason, yieldMs, freed }) => (
              <tr key={from}>
                <td>{dateAndTime.format(from)}</td>
                <td>{reason === null ? message('pc.unknown') : say(reason)}</td>
                <td>
                  {to === null
                    ? message('when.pauses.still', { duration: durationText(Math.max(0, now - from)) })
                    : durationText(to - from)}
                </td>
                <td>{yieldMs === null ? '–' : message('when.ms', { ms: Math.round(yieldMs) })}</td>
                <td>{freed === null ? '–' : freedWords(freed)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {newest.length > shown.length && (
        <button type="button" className="plain" onClick={() => setAll(true)}>
          {message('when.show-more', { count: newest.length - shown.length })}
        </button>
      )}
    </section>
  );
}

function freedWords({ memory, vram }: Freed): string {
  const size = (bytes: number) =>
    message('screen.pc.gigabytes', { size: new Intl.NumberFormat('en', { maximumFractionDigits: 1 }).format(bytes / MEMORY_GB_BYTES) });
  const ofGpus = vram.reduce((sum, { bytes }) => sum + bytes, 0);
  const words = size(memory.bytes);
  return vram.length === 0 ? words : message('when.pauses.both', { memory: words, vram: size(ofGpus) });
}
