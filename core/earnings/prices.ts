import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { PriceStatus } from '../contract/earnings.ts';
import { asHearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import { AssetId } from '../contract/money.ts';
import { Decimal, type PriceSettings } from '../contract/prices.ts';
import { storageError } from '../contract/storage-error.ts';
import { fetchPrice } from './price-fetch.ts';
import type { PricePoint } from './report.ts';

/** A price that was found, as it is kept: one JSON object a line. */
const Kept = z.strictObject({
  asset: AssetId,
  price: Decimal,
  currency: z.string().regex(/^[A-Z]{3}$/),
  at: z.int().min(0),
  source: z.string().max(300),
});
type Kept = z.infer<typeof Kept>;

/** More are not read: those that were found last count. */
const MAX_KEPT = 200_000;
/** A price that was found longer before than this says nothing of a time. */
const NEAR_MS = 36 * 3_600_000;

/** Prices of one whole unit, from the sources that the user set: none by default, and never more than a view. */
export interface Prices {
  /** The latest that is known, by the source that is set now; null where none is. */
  latest(asset: string): PricePoint | null;
  /** What held at a time: the last one found before it and near it; else the user's own word. Null where neither is. */
  at(asset: string, at: number): PricePoint | null;
  status(): Omit<PriceStatus, 'symbol'>[];
  /** Asks every source that is due, or with `all` every one. A source that fails keeps its last price, with its date. */
  refresh(all: boolean): Promise<void>;
}

export interface PricesParts {
  /** The file of prices that were found. */
  path: string;
  settings(): PriceSettings;
  clock(): number;
  fetcher: typeof fetch;
  onError(asset: string, code: string, detail: string): void;
}

/** @throws DATA_DIR_UNWRITABLE where the file can't be read */
export function openPrices({ path, settings, clock, fetcher, onError }: PricesParts): Prices {
  const kept = readKept(path);
  const problems = new Map<string, PriceStatus['problem']>();
  const askedAt = new Map<string, number>();
  let refreshing: Promise<void> = Promise.resolve();

  function manual(asset: string): PricePoint | null {
    const set = settings().find((each) => each.asset === asset);
    if (set?.source.kind !== 'manual') return null;
    return { price: set.source.price, currency: set.currency, at: set.source.at, source: 'manual' };
  }

  /** Of the source and currency that are set now. */
  function found(asset: string): Kept | null {
    const set = settings().find((each) => each.asset === asset);
    if (set?.source.kind !== 'url') return null;
    const host = hostOf(set.source.url);
    return kept.get(asset)?.findLast(({ source, currency }) => source === host && currency === set.currency) ?? null;
  }

  async function ask(set: PriceSettings[number], all: boolean): Promise<void> {
    const { asset, currency, source } = set;
    if (source.kind !== 'url') return;
    const last = Math.max(askedAt.get(asset) ?? 0, found(asset)?.at ?? 0);
    if (!all && clock() - last < source.everyMinutes * 60_000 && clock() >= last) return;
    askedAt.set(asset, clock());
    try {
      const point: Kept = { asset, price: await fetchPrice(source, fetcher), currency, at: clock(), source: hostOf(source.url) };
      appendFileSync(path, `${JSON.stringify(point)}\n`, { mode: 0o600 });
      push(kept, point);
      problems.delete(asset);
    } catch (thrown) {
      const { code, params } = asHearthlendError(storageError(path, thrown));
      problems.set(asset, ref(code, params));
      onError(asset, code, String(params.detail ?? ''));
    }
  }

  return {
    latest: (asset) => manual(asset) ?? pointOf(found(asset)),
    at(asset, at) {
      const near = kept.get(asset)?.findLast((each) => each.at <= at);
      return near !== undefined && at - near.at <= NEAR_MS ? pointOf(near) : manual(asset);
    },
    status: () =>
      settings().map(({ asset, currency, source }) => {
        const latest = manual(asset) ?? found(asset);
        return {
          ...{ asset, currency, source },
          latest: latest === null ? null : { price: latest.price, at: latest.at },
          problem: problems.get(asset) ?? null,
        };
      }),
    refresh(all) {
      // One after the other: who asks twice at once does not ask a source twice.
      refreshing = refreshing.then(async () => {
        for (const set of settings()) await ask(set, all);
      });
      return refreshing;
    },
  };
}

function readKept(path: string): Map<string, Kept[]> {
  const kept = new Map<string, Kept[]>();
  if (!existsSync(path)) return kept;
  let lines: string[];
  try {
    lines = readFileSync(path, 'utf8').split('\n');
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  for (const line of lines.slice(-MAX_KEPT)) {
    const point = parsed(line);
    if (point !== null) push(kept, point);
  }
  return kept;
}

/** A line that a power cut left in the middle is none. */
function parsed(line: string): Kept | null {
  try {
    const point = Kept.safeParse(JSON.parse(line));
    return point.success ? point.data : null;
  } catch {
    return null;
  }
}

function push(kept: Map<string, Kept[]>, point: Kept): void {
  const list = kept.get(point.asset);
  if (list === undefined) kept.set(point.asset, [point]);
  else list.push(point);
}

function pointOf(point: Kept | null): PricePoint | null {
  if (point === null) return null;
  const { price, currency, at, source } = point;
  return { price, currency, at, source };
}

function hostOf(url: string): string {
  return new URL(url).host;
}
