import { todaysNumber } from '../../core/contract/amounts.ts';
import { message } from '../../core/contract/messages.ts';
import { pausedBy } from '../../core/contract/policy.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';

/** What a press in the tray's menu does. */
export type TrayAction =
  | { do: 'open' }
  | { do: 'resume' }
  | { do: 'start'; forMs: number }
  | { do: 'practise' }
  | { do: 'pause'; forMs: number | null }
  | { do: 'quit'; now: boolean };

/** An entry: a text alone, something to press, a folder of such, or a line between. */
export type TrayEntry = { label: string; action?: TrayAction; entries?: TrayEntry[] } | 'line';

/** What the tray shows of the agent. */
export type TrayView = Pick<Snapshot, 'state' | 'earnings'> & { quitting: boolean };

const HOUR_MS = 3_600_000;
/** The contract's longest pause. */
const DAY_MS = 24 * HOUR_MS;
const MORNING_HOUR = 6;

/** Time from `now` to the coming morning, at least an hour and at most a day ahead: late at night, "tomorrow" is after the sleep. */
export function msUntilMorning(now: Date): number {
  const morning = new Date(now.getFullYear(), now.getMonth(), now.getDate(), MORNING_HOUR);
  if (morning.getTime() - now.getTime() < HOUR_MS) morning.setDate(morning.getDate() + 1);
  return Math.min(DAY_MS, morning.getTime() - now.getTime());
}

/** Today's one number, in words. */
function todayText(earnings: TrayView['earnings']): string {
  return message('desktop.today', { ...todaysNumber(earnings) });
}

/** What the icon says when one points at it. */
export function trayTip({ state, earnings }: TrayView): string {
  return `${message('desktop.name')}: ${message(`state.${state.name}`)}\n${todayText(earnings)}`;
}

/** The menu: the state and today's number, then what can be done just now. */
export function trayMenu(view: TrayView, now: Date): TrayEntry[] {
  const { state, earnings, quitting } = view;
  const entries: TrayEntry[] = [
    { label: message(`state.${state.name}`) },
    { label: todayText(earnings) },
    'line',
    { label: message('desktop.open'), action: { do: 'open' } },
  ];
  if (quitting) {
    return [...entries, 'line', { label: message('desktop.quitting') }, quitNow];
  }
  if (state.name === 'paused') {
    const by = pausedBy(state.reason);
    if (by === 'user') entries.push({ label: message('desktop.resume'), action: { do: 'resume' } });
    // Against sleep and heat nobody can start anything.
    if (by === 'rule') entries.push({ label: message('desktop.start-anyway'), action: { do: 'start', forMs: HOUR_MS } });
  } else {
    if (state.name === 'proven') entries.push({ label: message('desktop.keep-practising'), action: { do: 'practise' } });
    entries.push({
      label: message('desktop.pause'),
      entries: [
        { label: message('desktop.pause.hour'), action: { do: 'pause', forMs: HOUR_MS } },
        { label: message('desktop.pause.tomorrow'), action: { do: 'pause', forMs: msUntilMorning(now) } },
        { label: message('desktop.pause.open-ended'), action: { do: 'pause', forMs: null } },
      ],
    });
  }
  return [...entries, 'line', { label: message('desktop.quit'), action: { do: 'quit', now: false } }, quitNow];
}

const quitNow: TrayEntry = { label: message('desktop.quit-now'), action: { do: 'quit', now: true } };
