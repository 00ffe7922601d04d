import { z } from 'zod';
import { AssetId } from './money.ts';

/** A number of a price or a value, to the last digit: decimal text, never a float. */
export const Decimal = z.string().regex(/^-?(0|[1-9][0-9]{0,119})(\.[0-9]{1,60})?$/);

/** What one whole unit of an asset costs. */
const Price = z.string().regex(/^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$/);

/**
 * Where the price of one whole unit comes from. `manual`: the user's own word, with its date (ms since 1970). `url`: a number in a JSON document, named by
 * a path of keys and positions with dots between (`data.0.price`).
 */
export const PriceSource = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('manual'), price: Price, at: z.int().min(0) }),
  z.strictObject({
    kind: z.literal('url'),
    url: z.url({ protocol: /^https$/ }).max(500),
    path: z.string().min(1).max(200),
    everyMinutes: z.int().min(5).max(10_080).default(60),
  }),
]);
export type PriceSource = z.infer<typeof PriceSource>;

/** The sources that the user set: one for each asset, none by default. */
export const PriceSettings = z
  .array(z.strictObject({ asset: AssetId, currency: z.string().regex(/^[A-Z]{3}$/), source: PriceSource }))
  .max(64)
  .refine((prices) => new Set(prices.map(({ asset }) => asset)).size === prices.length, 'each asset has one source');
export type PriceSettings = z.infer<typeof PriceSettings>;
