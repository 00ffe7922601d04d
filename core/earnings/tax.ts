import { type CsvField, csvLine } from '../contract/csv.ts';
import { type Amount, type AssetId, formatBaseUnits, isPracticeCredit } from '../contract/money.ts';
import { worthOf } from './fiat.ts';
import type { PricePoint } from './report.ts';

/** Something that came in: a receipt's own part as it was accepted, or what a claim paid. Ordered by `entry`, its place in the ledger. */
export interface Income {
  entry: number;
  /** ms since 1970. */
  at: number;
  kind: 'receipt' | 'claim';
  network: string;
  asset: AssetId;
  /** This machine's part, in base units. */
  amount: Amount;
  /** What further payees got of the receipt's amount. */
  shared: Amount;
  payee: string;
  /** The receipt's sequence and shard; the claim's channel. */
  reference: string;
  transaction: string | null;
}

const COLUMNS = [
  ...([
    'time',
    'kind',
    'network',
    'asset',
    'symbol',
    'amount',
    'amountBaseUnits',
    'sharedBaseUnits',
    'value',
    'currency',
    'price',
  ] as const),
  ...(['priceTime', 'priceSource', 'payee', 'reference', 'transaction', 'entry'] as const),
];

interface TaxParts {
  /** The price that held at a time, as far as one was recorded near it. */
  priceAt(asset: AssetId, at: number): PricePoint | null;
  shownAs(asset: AssetId): { symbol: string; decimals: number };
}

/**
 * One line of CSV for each receipt and each claim, after a line of names. They are two views of the same income: what was accepted as it was earned, and
 * what arrived. Practice is left out. Without a price near its time a line has no value.
 */
export function* taxRows(incomes: Iterable<Income>, parts: TaxParts): Generator<string, void, undefined> {
  yield csvLine(COLUMNS);
  for (const income of incomes) {
    if (!isPracticeCredit(income.asset)) yield taxRow(income, parts);
  }
}

/** @param page of how many characters at most, unless one line has more @returns the page, and after which entry the next one goes on; null after the last */
export function taxPage(
  incomes: Iterable<Income>,
  { first, characters }: { first: boolean; characters: number },
  parts: TaxParts,
): { text: string; rows: number; next: number | null } {
  let text = first ? csvLine(COLUMNS) : '';
  let rows = 0;
  let last = 0;
  for (const income of incomes) {
    // Whatever was looked at and left out needn't be looked at again.
    if (text.length >= characters) return { text, rows, next: last };
    last = income.entry;
    if (isPracticeCredit(income.asset)) continue;
    text += taxRow(income, parts);
    rows += 1;
  }
  return { text, rows, next: null };
}

function taxRow(income: Income, { priceAt, shownAs }: TaxParts): string {
  const { asset, at, amount } = income;
  const { symbol, decimals } = shownAs(asset);
  const point = priceAt(asset, at);
  const row: Record<(typeof COLUMNS)[number], CsvField> = {
    time: new Date(at).toISOString(),
    kind: income.kind,
    network: income.network,
    asset,
    symbol,
    amount: formatBaseUnits(BigInt(amount), decimals),
    amountBaseUnits: amount,
    sharedBaseUnits: income.shared,
    value: point === null ? null : worthOf(BigInt(amount), decimals, point.price),
    currency: point?.currency ?? null,
    price: point?.price ?? null,
    priceTime: point === null ? null : new Date(point.at).toISOString(),
    priceSource: point?.source ?? null,
    payee: income.payee,
    reference: income.reference,
    transaction: income.transaction,
    entry: income.entry,
  };
  return csvLine(COLUMNS.map((column) => row[column]));
}
