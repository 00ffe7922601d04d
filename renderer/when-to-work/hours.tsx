import { message } from '../../core/contract/messages.ts';
import type { Window } from '../../core/contract/rules.ts';

/** Monday first; numbers as in the contract, where Sunday is 0. */
const DAYS = [1, 2, 3, 4, 5, 6, 0];
/** A Sunday, to name the days from. */
const SUNDAY = Date.UTC(2026, 0, 4);
const DAY_MS = 86_400_000;
const short = new Intl.DateTimeFormat('en', { weekday: 'short', timeZone: 'UTC' });
const long = new Intl.DateTimeFormat('en', { weekday: 'long', timeZone: 'UTC' });
const MINUTES_PER_DAY = 1440;

const NIGHT: Window = { days: [0, 1, 2, 3, 4, 5, 6], fromMinute: 22 * 60, toMinute: 7 * 60 };

/** Times of the week: on which days, from when to when. `to` at or before `from` is on the next day. */
export function Hours({ windows, onChange }: { windows: readonly Window[]; onChange(windows: Window[]): void }): React.ReactNode {
  const replace = (index: number, window: Window): void => onChange(windows.map((each, at) => (at === index ? window : each)));
  return (
    <div className="hours-list">
      {windows.map((window, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: windows have no names, and their places are what they are told apart by
        <fieldset key={index} className="window">
          <legend className="hidden">{message('when.hours.nth', { number: index + 1 })}</legend>
          <span className="days">
            {DAYS.map((day) => (
              <label key={day} className="day-toggle">
                <input
                  type="checkbox"
                  checked={window.days.includes(day)}
                  aria-label={long.format(SUNDAY + day * DAY_MS)}
                  onChange={() => {
                    const days = window.days.includes(day) ? window.days.filter((each) => each !== day) : [...window.days, day].sort();
                    // A window has a day; who wants none removes it.
                    if (days.length > 0) replace(index, { ...window, days });
                  }}
                />
                <span aria-hidden="true">{short.format(SUNDAY + day * DAY_MS)}</span>
              </label>
            ))}
          </span>
          <span className="from-to">
            <TimeField
              label="when.hours.from"
              minute={window.fromMinute}
              onChange={(fromMinute) => replace(index, { ...window, fromMinute })}
            />
            <TimeField label="when.hours.to" minute={window.toMinute} onChange={(toMinute) => replace(index, { ...window, toMinute })} />
            <button type="button" className="plain" onClick={() => onChange(windows.filter((_, at) => at !== index))}>
              {message('when.hours.remove')}
            </button>
          </span>
        </fieldset>
      ))}
      <button type="button" className="plain" onClick={() => onChange([...windows, NIGHT])}>
        {message('when.hours.add')}
      </button>
    </div>
  );
}

function TimeField({
  label,
  minute,
  onChange,
}: {
  label: 'when.hours.from' | 'when.hours.to';
  minute: number;
  onChange(minute: number): void;
}): React.ReactNode {
  return (
    <label>
      <span className="faint">{message(label)} </span>
      <input
        type="time"
        value={clockText(minute)}
        onChange={(event) => {
          const [hour, minutes] = event.target.value.split(':').map(Number);
          if (hour !== undefined && minutes !== undefined) onChange(hour * 60 + minutes);
        }}
      />
    </label>
  );
}

/** 24:00 is the next day's 00:00. */
function clockText(minute: number): string {
  const within = minute % MINUTES_PER_DAY;
  return `${String(Math.floor(within / 60)).padStart(2, '0')}:${String(within % 60).padStart(2, '0')}`;
}
