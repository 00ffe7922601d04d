import type { EarningsForecast, EarningsQuery, EarningsReport, PriceStatus, Reconciliation } from '../../core/contract/earnings.ts';
import type { PriceSettings } from '../../core/contract/prices.ts';
import type { CallOutput } from '../../core/contract/rpc.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';

/** What the Earnings page asks. All of it rejects: whoever asked says what went wrong. */
export interface EarningsActs {
  report(query: EarningsQuery): Promise<EarningsReport>;
  forecast(zone: string, days: number): Promise<EarningsForecast>;
  reconcile(): Promise<Reconciliation>;
  /** @param refresh asks the sources now */
  prices(refresh: boolean): Promise<PriceStatus[]>;
  /** Sets where the price of an asset comes from; null: nowhere. */
  setPrice(asset: string, price: Omit<PriceSettings[number], 'asset'> | null): Promise<void>;
  save(what: 'csv' | 'json' | 'tax'): Promise<CallOutput<'earnings.save'>>;
}

export function createEarningsActs(call: RpcClient['call']): EarningsActs {
  return {
    report: (query) => call('earnings.report', query),
    forecast: (zone, days) => call('earnings.forecast', { zone, days }),
    reconcile: () => call('earnings.reconcile', {}),
    prices: (refresh) => call('earnings.prices', { refresh }),
    async setPrice(asset, price) {
      const { prices } = await call('settings.get', {});
      const others = prices.filter((each) => each.asset !== asset);
      await call('settings.set', { prices: price === null ? others : [...others, { asset, ...price }] });
      if (price !== null) await call('earnings.prices', { refresh: true });
    },
    save: (what) => call('earnings.save', { what }),
  };
}
