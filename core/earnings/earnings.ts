import { isPracticeCredit } from '../contract/money.ts';
import type { AssetEarnings } from '../contract/snapshot.ts';

type AssetTotals = Omit<AssetEarnings, 'practice' | 'symbol' | 'decimals'>;
type Shown = Pick<AssetEarnings, 'symbol' | 'decimals'>;

/**
 * Assets that are known by name. Source: OpenLedger's native gas token on its mainnet (chain id 1612) and OPEN as ERC-20 on Ethereum and BSC.
 */
const KNOWN: ReadonlyMap<string, Shown> = new Map([
  ['eip155:1612/slip44:60', { symbol: 'OPEN', decimals: 18 }],
  ['eip155:1/erc20:0xa227cc36938f0c9e09ce0e64dfab226cad739447', { symbol: 'OPEN', decimals: 18 }],
  ['eip155:56/erc20:0xa227cc36938f0c9e09ce0e64dfab226cad739447', { symbol: 'OPEN', decimals: 18 }],
]);

/** How amounts of an asset are shown. Practice credits are whole and called so; of an unknown asset base units are shown under its own id. */
export function shownAs(asset: string): Shown {
  if (isPracticeCredit(asset)) return { symbol: 'practice', decimals: 0 };
  return KNOWN.get(asset.toLowerCase()) ?? { symbol: asset.slice(asset.indexOf('/') + 1).slice(0, 32), decimals: 0 };
}

/** The ledger's totals as the screen shows them, each asset as `shown` has it: what earns first, practice last. */
export function earningsOf(totals: readonly AssetTotals[], shown: (asset: string) => Shown = shownAs): AssetEarnings[] {
  return totals
    .map((total) => ({ ...total, practice: isPracticeCredit(total.asset), ...shown(total.asset) }))
    .sort((a, b) => Number(a.practice) - Number(b.practice) || (a.asset < b.asset ? -1 : 1));
}
