import type { EarningsEstimate, Quote } from '../contract/benchmark.ts';
import type { Rules, Tariff } from '../contract/rules.ts';

const SECONDS_PER_HOUR = 3600;
/** Tokens per second are reckoned in thousandths, so that amounts stay whole numbers. */
const THOUSANDTHS = 1000;

interface EarningsFacts {
  /** Measured; null: not yet. */
  tokensPerSecond: number | null;
  /** What joined networks state, by their ids. */
  quotes: readonly { network: string; quote: Quote }[];
  electricity: Pick<Rules['electricity'], 'currency' | 'tariff'>;
  /** Measured under load, and what the owner gave; null: not known. */
  measuredWatts: number | null;
  loadWatts: number | null;
  /** Hour of the local day. */
  hour: number;
}

/**
 * What an hour of work would bring, as a range: each network's quoted price × measured tokens per second × the least and the most of the time in
 * which it says that it has work. No price, no figure. And what an hour's electricity costs, where tariff and watts are known.
 */
export function earningsEstimate(facts: EarningsFacts): EarningsEstimate {
  const { tokensPerSecond, quotes, electricity, measuredWatts, loadWatts, hour } = facts;
  const watts = measuredWatts ?? loadWatts;
  const price = priceAt(electricity.tariff, hour);
  return {
    networks: quotes.flatMap(({ network, quote }) => {
      if (tokensPerSecond === null) return [];
      const perHour = (share: number) => {
        const thousandths = BigInt(Math.round(tokensPerSecond * share * SECONDS_PER_HOUR * THOUSANDTHS));
        return ((thousandths * BigInt(quote.perToken)) / BigInt(THOUSANDTHS)).toString();
      };
      const { asset, demand, at } = quote;
      return [{ network, asset, leastPerHour: perHour(demand.least), mostPerHour: perHour(demand.most), quotedAt: at }];
    }),
    electricity: {
      perHour: watts === null || price === null ? null : (watts / 1000) * price,
      currency: electricity.currency,
      watts,
      measured: measuredWatts !== null,
    },
  };
}

function priceAt(tariff: Tariff | null, hour: number): number | null {
  if (tariff === null) return null;
  return tariff.kind === 'fixed' ? tariff.perKwh : (tariff.perKwh[hour] ?? null);
}
