import type { Quote } from '../contract/benchmark.ts';
import type { Shard } from '../contract/shard.ts';
import type { Rates } from './rates.ts';

const SECONDS_PER_HOUR = 3600;
/** Units per hour are reckoned in thousandths, so that amounts stay whole numbers. */
const THOUSANDTHS = 1000;

/** What an hour of shards like this one brings here, in base units; null where the model was never run on this machine. */
export function shardPerHour({ model, price }: Pick<Shard, 'model' | 'price'>, rates: Rates): bigint | null {
  const perHour = rates.unitsPerHour(model.digest, price.unit);
  return perHour === null ? null : times(price.perUnit, perHour);
}

/** What an hour brings by the price that a network quotes, were there always work; null where this machine was never measured. */
export function quotePerHour(quote: Pick<Quote, 'perToken'>, tokensPerSecond: number | null): bigint | null {
  return tokensPerSecond === null ? null : times(quote.perToken, tokensPerSecond * SECONDS_PER_HOUR);
}

function times(perUnit: string, units: number): bigint {
  return (BigInt(perUnit) * BigInt(Math.round(units * THOUSANDTHS))) / BigInt(THOUSANDTHS);
}
