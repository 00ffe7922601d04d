import type { EarningsReport, EarningsRow } from '../../core/contract/earnings.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Handlers } from '../../core/contract/rpc.ts';

type EarningsCalls = 'earnings.report' | 'earnings.forecast' | 'earnings.reconcile' | 'earnings.prices' | 'earnings.tax' | 'earnings.save';

/** A row in which nothing was earned. */
export function emptySums(): Omit<EarningsRow, 'key'> {
  return {
    ...{ money: [], practice: [] },
    energy: { measuredWh: null, estimatedWh: null, knownShards: 0, acceptedShards: 0 },
    net: { currency: 'EUR', electricity: null, net: null, missing: 'energy' },
  };
}

/** The calls about earnings of an agent that has earned nothing. */
export function earningsCalls(): Pick<Handlers, EarningsCalls> {
  return {
    'earnings.report': async (query): Promise<EarningsReport> => ({ query, rows: [], total: emptySums(), since: null }),
    'earnings.forecast': async ({ days }) => ({
      ...{ from: 0, to: days * 86_400_000, days, assets: [] },
      reason: { key: 'reason.forecast-too-early', params: { days: 0, needed: 14 } },
    }),
    'earnings.reconcile': async () => ({ at: 1, networks: [] }),
    'earnings.prices': async () => [],
    'earnings.tax': async () => ({ text: '', rows: 0, next: null }),
    'earnings.save': async () => Promise.reject(new HearthlendError('FILE_UNWRITABLE', { path: 'exports', detail: 'a fake' })),
  };
}
