import type { AssetForecast, EarningsForecast } from '../contract/earnings.ts';
import { ref } from '../contract/messages.ts';
import { type AssetId, isPracticeCredit } from '../contract/money.ts';
import { daysBefore, nextDay, type Period } from './periods.ts';
import type { EarnedSource } from './report.ts';

/** As far back as is looked: habits change. */
const HISTORY_DAYS = 56;
/** Days on record before anything is said of the next. */
const LEAST_DAYS = 7;
/** Stretches of before that a range is drawn from, at least. */
const LEAST_STRETCHES = 4;
/** Of ten stretches eight should lie in the range. */
const [LOW, HIGH] = [0.1, 0.9];
const MAX_PAST = 60;

/** What a stretch of days is expected to bring: most stretches like it lay between `least` and `most`. */
interface Range {
  least: number;
  middle: number;
  most: number;
}

/**
 * What so many days will bring, from what every stretch of so many days brought in the weeks before them: between the tenth and the ninetieth of a
 * hundred. Of stretches that are no whole weeks only those that begin on the same weekday count, once there are enough. Null for want of them.
 * @param before what each day brought, the last one right before the stretch @param days length of the stretch
 */
export function forecastRange(before: readonly number[], days: number): Range | null {
  const history = before.slice(-HISTORY_DAYS);
  if (history.length < LEAST_DAYS) return null;
  const stretches: number[] = [];
  const likeIt: number[] = [];
  for (let end = history.length; end >= days; end -= 1) {
    const brought = history.slice(end - days, end).reduce((sum, day) => sum + day, 0);
    stretches.push(brought);
    if ((history.length - (end - days)) % 7 === 0) likeIt.push(brought);
  }
  const chosen = days % 7 !== 0 && likeIt.length >= LEAST_STRETCHES ? likeIt : stretches;
  if (chosen.length < LEAST_STRETCHES) return null;
  const sorted = chosen.toSorted((a, b) => a - b);
  return { least: quantile(sorted, LOW), middle: quantile(sorted, 0.5), most: quantile(sorted, HIGH) };
}

/** The same, said of stretches that are over, from what was known before each of them, and what then came. Oldest first; they don't overlap. */
export function backTest(daily: readonly number[], days: number): Array<Range & { index: number; came: number }> {
  const tests: Array<Range & { index: number; came: number }> = [];
  for (let index = daily.length - days; index >= LEAST_DAYS && tests.length < MAX_PAST; index -= days) {
    const range = forecastRange(daily.slice(0, index), days);
    if (range === null) break;
    tests.push({ ...range, index, came: daily.slice(index, index + days).reduce((sum, day) => sum + day, 0) });
  }
  return tests.reverse();
}

/** How often what came lay in the range, and by what share of the mean the middle missed it. Null where nothing came of anything. */
export function errorOf(tests: ReadonlyArray<Range & { came: number }>): Pick<AssetForecast, 'held' | 'missedBy'> {
  if (tests.length === 0) return { held: null, missedBy: null };
  const held = tests.filter(({ least, most, came }) => came >= least && came <= most).length / tests.length;
  const mean = tests.reduce((sum, { came }) => sum + came, 0) / tests.length;
  const missed = tests.reduce((sum, { middle, came }) => sum + Math.abs(came - middle), 0) / tests.length;
  return { held, missedBy: mean === 0 ? null : missed / mean };
}

/** Nearest rank. */
function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] as number;
}

interface ForecastParts {
  source: Pick<EarnedSource, 'until' | 'keys' | 'since'>;
  shownAs(asset: AssetId): { symbol: string; decimals: number };
}

/** What the days from the next midnight on will bring, asset by asset, and how well that was known before. @throws ZONE_UNKNOWN */
export function earningsForecast({ zone, days, now }: { zone: string; days: number; now: number }, parts: ForecastParts): EarningsForecast {
  const today = daysBefore(zone, now, 0);
  const from = nextDay(zone, today);
  const to = daysBefore(zone, from, -days);
  const keys = parts.source.keys('all').filter(({ asset }) => !isPracticeCredit(asset));
  const known = keys.map((key) => ({ key, past: wholeDays(zone, today, parts.source.since(key)) }));
  const assets = known.flatMap(({ key, past }): AssetForecast[] => {
    const sums = past.map(({ from: start }) => parts.source.until(key, start).accepted);
    sums.push(parts.source.until(key, today).accepted);
    const daily = past.map((_, index) => Number((sums[index + 1] as bigint) - (sums[index] as bigint)));
    // Today is not over: what it brings is not known yet.
    const range = forecastRange(daily, days);
    if (range === null) return [];
    const tests = backTest(daily, days);
    return [
      {
        asset: key.asset,
        ...parts.shownAs(key.asset),
        ...amounts(range),
        past: tests.map((test) => ({ ...stretch(past, test.index, days), ...amounts(test), came: whole(test.came) })),
        ...errorOf(tests),
      },
    ];
  });
  const most = Math.max(0, ...known.map(({ past }) => past.length));
  const needed = Math.max(LEAST_DAYS, days + LEAST_STRETCHES - 1);
  return { from, to, days, assets, reason: assets.length > 0 ? null : ref('reason.forecast-too-early', { days: most, needed }) };
}

/** The whole days between the one in which something was accepted first, and today, no more than a range and its tests can use. */
function wholeDays(zone: string, today: number, since: number | null): Period[] {
  const periods: Period[] = [];
  if (since === null) return periods;
  const first = Math.max(nextDay(zone, daysBefore(zone, since, 0)), daysBefore(zone, today, 2 * HISTORY_DAYS));
  for (let from = first; from < today; ) {
    const to = nextDay(zone, from);
    periods.push({ from, to });
    from = to;
  }
  return periods;
}

function stretch(past: readonly Period[], index: number, days: number): Period {
  return { from: past[index]?.from ?? 0, to: past[index + days - 1]?.to ?? 0 };
}

function amounts({ least, most }: Range): { least: string; most: string } {
  return { least: whole(least), most: whole(most) };
}

/** Estimates have three digits, in base units. */
function whole(amount: number): string {
  return BigInt(Math.round(Number(amount.toPrecision(3)))).toString();
}
