import { ref } from '../../core/contract/messages.ts';
import type { WorkerService } from '../service.ts';
import type { Store } from '../store.ts';
import { sameAddress } from './payouts.ts';

/** A worker that is lent nothing is told again why so often. */
const RETRY_MS = 60_000;

/** A coordinator's service to workers that are paid: each lease says whom its receipt will name, and what a wallet takes back ends the lending at once. */
export function withPayouts(service: WorkerService, store: Pick<Store, 'vouchersAfter'>): WorkerService {
  return {
    ...service,
    async lease(worker, request) {
      if (worker.stopped) return { type: 'no-work', reason: ref(`no-work.delegation-${worker.stopped}`), retryMs: RETRY_MS };
      const reply = await service.lease(worker, request);
      if (reply.type === 'no-work') return reply;
      const { payee } = worker;
      return {
        ...reply,
        lease: { ...reply.lease, payee },
        ...(reply.further && { further: reply.further.map((each) => ({ ...each, payee })) }),
      };
    },
    async vouchers(worker, last, limit, of, payee) {
      const { address, former = [] } = worker;
      const before =
        payee === undefined || (of !== undefined && !sameAddress(of, address))
          ? undefined
          : former.find((each) => sameAddress(each, payee));
      return before === undefined ? service.vouchers(worker, last, limit, of) : store.vouchersAfter(address, before, last, limit);
    },
  };
}
