import { z } from 'zod';
import { Bytes32, Sha256 } from './digest.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { DeviceId } from './policy.ts';
import { Decimal, PriceSource } from './prices.ts';
import { Address } from './receipt.ts';
import { NetworkId } from './shard.ts';

/** An IANA time zone, `Europe/Berlin`: whose hours and days are meant. */
const Zone = z.string().min(1).max(64);
const Currency = z.string().regex(/^[A-Z]{3}$/);
const Count = z.int().min(0);
const Milliseconds = z.int().min(0);

/** A day of hours to nearly three years of days. */
export const MAX_EARNINGS_ROWS = 1000;

/** What is asked: the time from `from` up to `to` (ms since 1970), in rows of what. Hours and days are those of `zone`. */
export const EarningsQuery = z.strictObject({
  from: Milliseconds,
  to: Milliseconds,
  by: z.enum(['hour', 'day', 'network', 'model', 'device']),
  zone: Zone,
});
export type EarningsQuery = z.infer<typeof EarningsQuery>;

/** An amount seen in a currency. A view and never the amount: which price, of when (ms since 1970), and who said so. */
export const FiatView = z.strictObject({
  value: Decimal,
  currency: Currency,
  /** Of one whole unit. */
  price: Decimal,
  pricedAt: z.int(),
  source: z.string().max(300),
});
export type FiatView = z.infer<typeof FiatView>;

/**
 * The four numbers of one asset in a row, in base units. `promised` and `paid` are what was vouched and paid in that time; null by model and by
 * device, since a voucher covers receipts of all of them. `expected` is what was computed then and is not accepted yet.
 */
export const AssetSums = z.strictObject({
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  expected: Amount,
  accepted: Amount,
  promised: Amount.nullable(),
  paid: Amount.nullable(),
  acceptedShards: Count,
  /** What was accepted, at the latest price that is known; null where the user set none, and for practice. */
  fiat: FiatView.nullable(),
});
export type AssetSums = z.infer<typeof AssetSums>;

/** Energy of the shards whose energy is known. Null: of none of them. A sensor measured the first; the second is what the device takes under load. */
const EnergySums = z.strictObject({
  measuredWh: z.number().min(0).nullable(),
  estimatedWh: z.number().min(0).nullable(),
  /** Shards whose energy is known, and shards that were accepted: what is missing is not guessed. */
  knownShards: Count,
  acceptedShards: Count,
});

/** What the known energy costs by the tariff as it is now, and what is left. Practice and own work cost electricity too. */
export const NetSums = z.strictObject({
  currency: Currency,
  /** Null without a tariff, or where no energy is known. */
  electricity: z.number().nullable(),
  /** Fiat views of all assets less electricity; null where one of them is missing, and `missing` says which. */
  net: z.number().nullable(),
  missing: z.enum(['price', 'tariff', 'energy']).nullable(),
});
export type NetSums = z.infer<typeof NetSums>;

const sums = {
  /** One entry an asset, never summed over assets. */
  money: z.array(AssetSums).max(64),
  /** Practice credits: tasks that this PC checked for itself, worth nothing. */
  practice: z.array(AssetSums).max(64),
  energy: EnergySums,
  net: NetSums,
};

/** What a row is of. A device's or model's name is null where this machine no longer knows it; the device itself where none was recorded. */
export const EarningsKey = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('hour'), from: Milliseconds, to: Milliseconds }),
  z.strictObject({ by: z.literal('day'), from: Milliseconds, to: Milliseconds }),
  z.strictObject({ by: z.literal('network'), network: NetworkId }),
  z.strictObject({ by: z.literal('model'), model: Sha256, name: z.string().max(300).nullable() }),
  z.strictObject({ by: z.literal('device'), device: DeviceId.nullable(), name: z.string().max(300).nullable() }),
]);
export type EarningsKey = z.infer<typeof EarningsKey>;

export const EarningsRow = z.strictObject({ key: EarningsKey, ...sums });
export type EarningsRow = z.infer<typeof EarningsRow>;

/** Every hour or day of the time asked for, oldest first; else the rows that have anything, what was accepted most first. */
export const EarningsReport = z.strictObject({
  query: EarningsQuery,
  rows: z.array(EarningsRow).max(MAX_EARNINGS_ROWS),
  total: z.strictObject(sums),
  /** The first acceptance on record (ms since 1970); null before it. */
  since: Milliseconds.nullable(),
});
export type EarningsReport = z.infer<typeof EarningsReport>;

/** An amount that is not known to the unit: between these, in base units. */
const range = { least: Amount, most: Amount };

/** What one asset will bring by what it brought, for the time ahead. */
export const AssetForecast = z.strictObject({
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  ...range,
  /** The same said of times past, from what was known before each: oldest first. */
  past: z.array(z.strictObject({ from: Milliseconds, to: Milliseconds, ...range, came: Amount })).max(60),
  /** Of `past`: how often what came lay between, 0 to 1, and by how much the middle missed it, as a share of the mean that came. Null without any. */
  held: z.number().min(0).max(1).nullable(),
  missedBy: z.number().min(0).nullable(),
});
export type AssetForecast = z.infer<typeof AssetForecast>;

/** Whole days ahead, of `zone`, from the next midnight on. Practice is not forecast. */
export const EarningsForecast = z.strictObject({
  from: Milliseconds,
  to: Milliseconds,
  days: z.int().min(1).max(31),
  assets: z.array(AssetForecast).max(64),
  /** Why there is none: too few days on record. Null where there is one. */
  reason: MessageRef.nullable(),
});
export type EarningsForecast = z.infer<typeof EarningsForecast>;

/**
 * Why what was accepted was not all paid. `not-vouched`: no voucher covers it yet. `other-payees`: shares of model and data owners, vouched in channels
 * that aren't ours. `short`: a voucher says less than its receipts. `over`: it says more (counts against the others). `not-claimed`: vouched, and not
 * paid yet. `not-accepted` is computed, and not yet part of what was accepted.
 */
const DIVERGENCES = ['not-accepted', 'not-vouched', 'other-payees', 'short', 'over', 'not-claimed'] as const;

export const Divergence = z.strictObject({ kind: z.enum(DIVERGENCES), amount: Amount, channel: Bytes32.nullable() });
export type Divergence = z.infer<typeof Divergence>;

/**
 * One network's four numbers in one asset, since the beginning, to the last unit:
 * accepted = paid + not-claimed + short − over + not-vouched + other-payees.
 */
export const ReconciledNetwork = z.strictObject({
  network: NetworkId,
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  expected: Amount,
  accepted: Amount,
  promised: Amount,
  paid: Amount,
  channels: z
    .array(
      z.strictObject({
        channel: Bytes32,
        payee: Address,
        epochs: Count,
        promised: Amount,
        /** What its vouchers should say by their receipts. */
        receipts: Amount,
        paid: Amount,
      }),
    )
    .max(64),
  /** Only those that are not zero. */
  divergences: z.array(Divergence).max(300),
});
export type ReconciledNetwork = z.infer<typeof ReconciledNetwork>;

export const Reconciliation = z.strictObject({ at: z.int(), networks: z.array(ReconciledNetwork).max(128) });
export type Reconciliation = z.infer<typeof Reconciliation>;

/** Prices that the user set a source for: the latest of each, and what went wrong when it was asked last. */
export const PriceStatus = z.strictObject({
  asset: AssetId,
  symbol: z.string().max(32),
  currency: Currency,
  source: PriceSource,
  latest: z.strictObject({ price: Decimal, at: z.int() }).nullable(),
  problem: MessageRef.nullable(),
});
export type PriceStatus = z.infer<typeof PriceStatus>;

/** Some rows of the tax export as CSV; the first page begins with the columns' names. `next` asks for the page after; null after the last. */
const TaxPage = z.strictObject({ text: z.string().max(1_000_000), rows: Count, next: z.int().min(1).nullable() });

/** What a page asks of earnings; part of the RPC table (rpc.ts). */
export const EARNINGS_CALLS = {
  'earnings.report': { scope: 'screen', input: EarningsQuery, output: EarningsReport },
  'earnings.forecast': {
    scope: 'screen',
    input: z.strictObject({ zone: Zone, days: z.int().min(1).max(31) }),
    output: EarningsForecast,
  },
  'earnings.reconcile': { scope: 'screen', input: z.strictObject({}), output: Reconciliation },
  /** Sources are set in the settings (`prices`). `refresh`: asks them now. */
  'earnings.prices': { scope: 'screen', input: z.strictObject({ refresh: z.boolean() }), output: z.array(PriceStatus).max(64) },
  /** The tax export, page by page: what a page can put together and save. Practice is left out. */
  'earnings.tax': {
    scope: 'screen',
    input: z.strictObject({ from: Milliseconds.nullable(), to: Milliseconds.nullable(), after: z.int().min(1).nullable() }),
    output: TaxPage,
  },
  /** The whole export into a file of the data folder (0600), which is named by what it is and the day: for shells that hand no files out. */
  'earnings.save': {
    scope: 'screen',
    input: z.strictObject({ what: z.enum(['csv', 'json', 'tax']) }),
    output: z.strictObject({ path: z.string(), rows: Count }),
  },
} as const;
