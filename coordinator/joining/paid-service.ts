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
    async vouchers(worker, last, limit, of) {
      const { address, former = [] } = worker;
      if (former.length === 0 || (of !== undefined && !sameAddress(of, address))) return service.vouchers(worker, last, limit, of);
      const ofFormer = await Promise.all(former.map((payee) => store.vouchersAfter(address, payee, last, limit)));
      const all = [...ofFormer.flat(), ...(await service.vouchers(worker, last, limit, of))];
      return all.sort((a, b) => a.last - b.last).slice(0, limit);
    },
  };
}
