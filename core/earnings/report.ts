import { type EarnedSums, sumsBetween } from '../contract/earned-sums.ts';
import type { AssetSums, EarningsKey, EarningsQuery, EarningsReport, EarningsRow, FiatView, NetSums } from '../contract/earnings.ts';
import { MAX_EARNINGS_ROWS } from '../contract/earnings.ts';
import { HearthlendError } from '../contract/errors.ts';
import { type Amount, type AssetId, isPracticeCredit } from '../contract/money.ts';
import type { Tariff } from '../contract/rules.ts';
import { costOf, wattHours } from './electricity.ts';
import { worthOf } from './fiat.ts';
import { type Period, periodsOf, wholeQuarters } from './periods.ts';

/** What is added up: of all, or of one network, model (its digest) or device (its id; nothing where none was recorded), in one asset. */
interface Key {
  part: 'all' | 'network' | 'model' | 'device';
  name: string;
  asset: AssetId;
}

/** One that was computed and is not accepted yet. */
interface Waiting {
  network: string;
  model: string;
  device: string | null;
  asset: AssetId;
  amount: Amount;
  /** When it was computed, ms since 1970. */
  at: number;
}

/** The record that sums are kept in. Times at whole quarters of an hour. */
export interface EarnedSource {
  until(key: Key, at: number): EarnedSums;
  keys(part: Key['part']): Key[];
  energies(key: Key, from: number, to: number): Iterable<{ at: number; millijoules: number }>;
  since(key: Key): number | null;
  waiting(): Waiting[];
}

/** What one whole unit of an asset costs, as of when. */
export interface PricePoint {
  price: string;
  currency: string;
  at: number;
  source: string;
}

export interface ReportParts {
  source: EarnedSource;
  electricity: { currency: string; tariff: Tariff | null };
  /** The latest price that is known; null where the user set no source. */
  price(asset: AssetId): PricePoint | null;
  shownAs(asset: AssetId): { symbol: string; decimals: number };
  modelName(digest: string): string | null;
  deviceName(device: string): string | null;
}

/** One asset's sums of one row, and where its energy is to be found. */
interface Part {
  asset: AssetId;
  sums: EarnedSums;
  expected: bigint;
  quarters(): Iterable<{ at: number; millijoules: number }>;
}

/** What was earned in a time, in rows of what was asked for. @throws EARNINGS_RANGE, ZONE_UNKNOWN */
export function earningsReport(query: EarningsQuery, parts: ReportParts): EarningsReport {
  const { source } = parts;
  const { by, zone } = query;
  const waiting = source.waiting();
  const assets = new Set([...source.keys('all'), ...waiting].map(({ asset }) => asset));
  const all = [...assets].map((asset): Key => ({ part: 'all', name: '', asset }));
  const whole = (period: Period) =>
    all.map((key) =>
      partOf(
        key,
        period,
        parts,
        waitingOf(waiting, period, () => true),
      ),
    );
  const since = all.map((key) => source.since(key)).filter((at) => at !== null);
  const report = (rows: EarningsRow[], period: Period): EarningsReport => ({
    query: { ...query, ...period },
    rows,
    total: rowSums(whole(period), zone, true, parts),
    since: since.length === 0 ? null : Math.min(...since),
  });
  if (by === 'hour' || by === 'day') {
    const periods = periodsOf(by, query, zone);
    const period = { from: periods[0]?.from ?? query.from, to: periods.at(-1)?.to ?? query.to };
    const columns = all.map((key) => ({ key, sums: [period.from, ...periods.map(({ to }) => to)].map((at) => source.until(key, at)) }));
    const rows = periods.map(({ from, to }, index): EarningsRow => {
      const here = columns.map(({ key, sums }): Part => {
        const [later, earlier] = [sums[index + 1] as EarnedSums, sums[index] as EarnedSums];
        const expected = waitingOf(waiting, { from, to }, () => true).get(key.asset) ?? 0n;
        return { asset: key.asset, sums: sumsBetween(earlier, later), expected, quarters: () => source.energies(key, from, to) };
      });
      return { key: { by, from, to }, ...rowSums(here, zone, true, parts) };
    });
    return report(rows, period);
  }
  const period = wholeQuarters(query);
  const found = Map.groupBy(source.keys(by), ({ name }) => name);
  for (const each of waiting) if (!found.has(nameIn(by, each))) found.set(nameIn(by, each), []);
  const rows = [...found].flatMap(([name, keys]): EarningsRow[] => {
    const expected = waitingOf(waiting, period, (each) => nameIn(by, each) === name);
    const assets = new Set([...keys.map(({ asset }) => asset), ...expected.keys()]);
    const here = [...assets].map((asset) => partOf({ part: by, name, asset }, period, parts, expected));
    const used = here.filter(isSomething);
    return used.length === 0 ? [] : [{ key: keyOf(by, name, parts), ...rowSums(used, zone, by === 'network', parts) }];
  });
  if (rows.length > MAX_EARNINGS_ROWS) throw new HearthlendError('EARNINGS_RANGE', { most: MAX_EARNINGS_ROWS });
  const tasks = ({ money, practice }: EarningsRow) =>
    [money, practice].map((each) => each.reduce((sum, { acceptedShards }) => sum + acceptedShards, 0));
  rows.sort((a, b) => {
    const [[moneyA = 0, practiceA = 0], [moneyB = 0, practiceB = 0]] = [tasks(a), tasks(b)];
    return moneyB - moneyA || practiceB - practiceA;
  });
  return report(rows, period);
}

function partOf(key: Key, { from, to }: Period, { source }: ReportParts, expected: ReadonlyMap<AssetId, bigint>): Part {
  return {
    asset: key.asset,
    sums: sumsBetween(source.until(key, from), source.until(key, to)),
    expected: expected.get(key.asset) ?? 0n,
    quarters: () => source.energies(key, from, to),
  };
}

function isSomething({ sums, expected }: Part): boolean {
  const { acceptedShards, promised, paid, knownShards } = sums;
  return acceptedShards > 0 || promised > 0n || paid > 0n || knownShards > 0 || expected > 0n;
}

function waitingOf(waiting: readonly Waiting[], { from, to }: Period, counts: (each: Waiting) => boolean): Map<AssetId, bigint> {
  const sums = new Map<AssetId, bigint>();
  for (const each of waiting) {
    if (each.at >= from && each.at < to && counts(each)) sums.set(each.asset, (sums.get(each.asset) ?? 0n) + BigInt(each.amount));
  }
  return sums;
}

function nameIn(by: 'network' | 'model' | 'device', each: Waiting): string {
  return by === 'device' ? (each.device ?? '') : each[by];
}

function keyOf(by: 'network' | 'model' | 'device', name: string, { modelName, deviceName }: ReportParts): EarningsKey {
  if (by === 'network') return { by, network: name };
  if (by === 'model') return { by, model: name, name: modelName(name) };
  return name === '' ? { by, device: null, name: null } : { by, device: name, name: deviceName(name) };
}

/** @param vouched whether vouchers and payments are known of this row */
function rowSums(here: readonly Part[], zone: string, vouched: boolean, parts: ReportParts): Omit<EarningsRow, 'key'> {
  const assets = here
    .filter(isSomething)
    .map(({ asset, sums, expected }): AssetSums & { practice: boolean } => {
      const practice = isPracticeCredit(asset);
      const shown = parts.shownAs(asset);
      return {
        practice,
        asset,
        ...shown,
        expected: expected.toString(),
        accepted: sums.accepted.toString(),
        promised: vouched ? sums.promised.toString() : null,
        paid: vouched ? sums.paid.toString() : null,
        acceptedShards: sums.acceptedShards,
        fiat: practice ? null : fiatOf(sums.accepted, shown.decimals, parts.price(asset)),
      };
    })
    .sort((a, b) => (a.asset < b.asset ? -1 : 1));
  const only = (wanted: boolean) => assets.filter(({ practice }) => practice === wanted).map(({ practice: _, ...sums }) => sums);
  const sum = (of: (sums: EarnedSums) => number) => here.reduce((total, { sums }) => total + of(sums), 0);
  const [measured, estimated, knownShards] = [sum((each) => each.measured), sum((each) => each.estimated), sum((each) => each.knownShards)];
  const acceptedShards = sum((each) => each.acceptedShards);
  const money = only(false);
  return {
    money,
    practice: only(true),
    energy: {
      measuredWh: knownShards === 0 || (measured === 0 && estimated > 0) ? null : wattHours(measured),
      estimatedWh: knownShards === 0 || estimated === 0 ? null : wattHours(estimated),
      knownShards,
      acceptedShards,
    },
    net: netOf(money, here, { knownShards, acceptedShards, zone }, parts),
  };
}

function fiatOf(amount: bigint, decimals: number, point: PricePoint | null): FiatView | null {
  if (point === null) return null;
  const { price, currency, at, source } = point;
  return { value: worthOf(amount, decimals, price), currency, price, pricedAt: at, source };
}

function netOf(
  money: readonly AssetSums[],
  here: readonly Part[],
  { knownShards, acceptedShards, zone }: { knownShards: number; acceptedShards: number; zone: string },
  { electricity: { currency, tariff } }: ReportParts,
): NetSums {
  // Where nothing was done, nothing was used.
  const idle = acceptedShards === 0 && knownShards === 0;
  const unknown = tariff === null ? 'tariff' : knownShards === 0 ? 'energy' : null;
  const cost = () =>
    here.reduce(
      (sum, { sums, quarters }) => sum + costOf(tariff as Tariff, { millijoules: sums.measured + sums.estimated, quarters }, zone),
      0,
    );
  const electricity = idle ? 0 : unknown === null ? cost() : null;
  const views = money
    .filter(({ accepted }) => accepted !== '0')
    .map(({ fiat }) => (fiat?.currency === currency ? Number(fiat.value) : null));
  const missing = views.includes(null) ? 'price' : electricity === null ? unknown : null;
  const brought = views.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  return { currency, electricity, net: missing === null ? brought - (electricity ?? 0) : null, missing };
}
