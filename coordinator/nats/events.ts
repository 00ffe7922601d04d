import { performance } from 'node:perf_hooks';
import type { NatsConnection } from '@nats-io/nats-core';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import type { NetworkEvent } from '../../core/contract/network.ts';
import type { Address } from '../../core/contract/receipt.ts';
import { WORKER_SUBJECTS } from '../../core/contract/worker-calls.ts';
import type { Log } from '../log.ts';

/** A worker that has asked nothing for this long is not there: it renews its leases far more often, and asks for work when it has none. */
const LATELY_MS = 15 * 60_000;
/** Work that comes in many pieces is told of once. */
const GATHER_MS = 100;

interface EventsOptions {
  connection: NatsConnection;
  nkeyOf(worker: string): Promise<WorkerNkey | null>;
  log: Log;
}

/** Tells workers what they haven't asked for. What is lost on the way they find out when they ask. */
export function tellEvents({ connection, nkeyOf, log }: EventsOptions) {
  const heardAt = new Map<WorkerNkey, number>();
  let gathering: NodeJS.Timeout | undefined;

  function publish(nkey: WorkerNkey, event: NetworkEvent): void {
    if (!connection.isClosed()) connection.publish(WORKER_SUBJECTS.events(nkey), JSON.stringify(event));
  }

  function forgetSilent(): void {
    const since = performance.now() - LATELY_MS;
    for (const [nkey, at] of heardAt) if (at < since) heardAt.delete(nkey);
  }

  return {
    heard(nkey: WorkerNkey): void {
      heardAt.set(nkey, performance.now());
    },
    connected(): number {
      forgetSilent();
      return heardAt.size;
    },
    tell(event: NetworkEvent, to: Address | null): void {
      if (to !== null) {
        nkeyOf(to).then(
          (nkey) => (nkey === null ? undefined : publish(nkey, event)),
          (thrown: unknown) => log('error', 'event-not-told', { detail: (thrown as Error).message }),
        );
        return;
      }
      gathering ??= setTimeout(() => {
        gathering = undefined;
        forgetSilent();
        for (const nkey of heardAt.keys()) publish(nkey, event);
      }, GATHER_MS);
    },
    close(): void {
      clearTimeout(gathering);
    },
  };
}
