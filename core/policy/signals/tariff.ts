import type { SignalSource } from '../../contract/policy.ts';
import type { Tariff } from '../../contract/rules.ts';

const MINUTE_MS = 60_000;
const REPEAT_MS = 20_000;

/**
 * What a kilowatt-hour costs at `now` (ms since 1970) by the user's tariff; null without one.
 * @param utcOffsetMinutes of the local time at that moment, so that the hours are those of the wall clock on either side of a change
 */
export function priceAt(tariff: Tariff | null, now: number, utcOffsetMinutes: number): number | null {
  if (tariff === null) return null;
  if (tariff.kind === 'fixed') return tariff.perKwh;
  return tariff.perKwh[new Date(now + utcOffsetMinutes * MINUTE_MS).getUTCHours()] ?? null;
}

/** The local time's distance from UTC at a moment, in minutes east, by the zone that this process has. */
function utcOffsetMinutesAt(now: number): number {
  // 0 and not -0 at UTC.
  return 0 - new Date(now).getTimezoneOffset();
}

/** The price of electricity now, by the tariff in the rules. */
export const tariffSource: SignalSource = {
  name: 'tariff',
  start(context) {
    const tell = (): void => {
      const now = context.clock();
      context.publish({ electricityPerKwh: priceAt(context.rules().electricity.tariff, now, utcOffsetMinutesAt(now)) });
    };
    const timer = setInterval(tell, REPEAT_MS);
    const leave = context.onChange(tell);
    tell();
    return () => {
      clearInterval(timer);
      leave();
    };
  },
};
