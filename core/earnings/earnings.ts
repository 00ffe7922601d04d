import type { AssetEarnings } from '../contract/snapshot.ts';

type AssetTotals = Omit<AssetEarnings, 'practice' | 'symbol' | 'decimals'>;

/** The ledger's totals as the screen shows them: with each asset's symbol and decimals, practice last. */
export declare function earningsOf(totals: readonly AssetTotals[]): AssetEarnings[];
