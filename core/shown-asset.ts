import type { NetworkTerms } from './contract/joining.ts';
import { isPracticeCredit } from './contract/money.ts';
import { assetsOn } from './contract/sending.ts';
import type { Settings } from './contract/settings.ts';
import { shownAs } from './earnings/earnings.ts';

/** As the chains that are set up call it, as this program knows it, as the network that pays it does. Practice is never called anything else. */
export function shownBy(
  asset: string,
  joined: ReadonlyArray<{ terms: NetworkTerms }>,
  { chains }: Pick<Settings, 'chains'>,
): { symbol: string; decimals: number } {
  const own = shownAs(asset);
  if (isPracticeCredit(asset) || own.decimals > 0) return own;
  const set = chains.flatMap(assetsOn).find((each) => each.asset.toLowerCase() === asset.toLowerCase());
  if (set !== undefined) return { symbol: set.symbol, decimals: set.decimals };
  const terms = joined.find((network) => network.terms.asset === asset)?.terms;
  return terms === undefined ? own : { symbol: terms.symbol, decimals: terms.decimals };
}
