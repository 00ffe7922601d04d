import type { Worker, WorkerService } from '../../coordinator/service.ts';
import type { NetworkEvent } from '../../core/contract/network.ts';
import type { Address } from '../../core/contract/receipt.ts';

/** What was asked, by whom. */
export interface Asked {
  call: string;
  worker: Address;
  args: unknown[];
}

/** A coordinator's service that writes down what it is asked and answers `answers[call]`, or that there is no work. */
export function fakeWorkerService(asked: Asked[], answers: Partial<Record<keyof WorkerService, () => unknown>> = {}) {
  const listeners = new Set<(event: NetworkEvent, to: Address | null) => void>();
  const call =
    (name: keyof WorkerService, answer: unknown) =>
    async (worker: Worker, ...args: unknown[]) => {
      asked.push({ call: name, worker: worker.address, args });
      return (await answers[name]?.()) ?? answer;
    };
  const service = {
    connect: call('connect', {
      id: 'studio',
      coordinator: `0x${'c'.repeat(40)}`,
      asset: 'hearth:studio/credit:practice',
      isolation: ['os'],
      sameTrustDomain: false,
    }),
    lease: call('lease', { type: 'no-work', reason: { key: 'no-work.practice-off', params: {} }, retryMs: null }),
    progress: call('progress', true),
    submit: call('submit', { type: 'expired' }),
    release: call('release', undefined),
    receiptsSince: call('receiptsSince', []),
    pendingBatches: call('pendingBatches', []),
    countersign: call('countersign', undefined),
    mayRead: call('mayRead', false),
    subscribe(listener: (event: NetworkEvent, to: Address | null) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as WorkerService;
  const emit = (event: NetworkEvent, to: Address | null) => {
    for (const listener of listeners) listener(event, to);
  };
  return { service, emit };
}
