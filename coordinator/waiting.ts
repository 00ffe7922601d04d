import { asHearthlendError } from '../core/contract/errors.ts';
import type { LeaseRequest } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import { type Machine, type Money, refusalOf } from './leasing/demand.ts';
import type { LeasingReads } from './leasing/records.ts';
import type { Log } from './log.ts';

/** A worker that has not asked again for so long is not waiting any more. */
const GONE_MS = 120_000;
/** Of those that wait so many are woken for each shard, since some have found other work. */
const WOKEN_FOR_EACH = 2;
/** As many kinds of work are looked at, the oldest first: who is not told asks by itself before long. */
const LOOK_AT = 1000;

/** Workers that asked for work and got none, in the order in which they asked: who is told when there is some, instead of all of them at once. */
export interface Waiting {
  add(worker: Address, request: LeaseRequest): void;
  remove(worker: Address): void;
  /** Whether another one waits. */
  others(worker: Address): boolean;
  /** Work may have come: tells those for whom it is. `also`: shards beside those that wait in line. */
  wake(also?: number): void;
}

export function createWaiting(
  { store, monotonic, money, log }: { store: Pick<LeasingReads, 'waitingDemands'>; monotonic: () => number; money: Money; log: Log },
  tell: (worker: Address) => void,
): Waiting {
  const workers = new Map<Address, { machine: Machine; since: number }>();
  let waking = false;
  let besides = 0;

  function forgetGone(): void {
    const since = monotonic() - GONE_MS;
    for (const [worker, each] of workers) {
      if (each.since > since) return;
      workers.delete(worker);
    }
  }

  async function wakeThem(): Promise<void> {
    forgetGone();
    const lines = (await store.waitingDemands(LOOK_AT)).map(({ demand, queued }) => ({ demand, left: queued * WOKEN_FOR_EACH }));
    let left = besides * WOKEN_FOR_EACH;
    besides = 0;
    for (const [worker, { machine }] of [...workers]) {
      const line = lines.find((each) => each.left > 0 && refusalOf(each.demand, machine, money) === null);
      if (line !== undefined) line.left -= 1;
      else if (left > 0) left -= 1;
      else continue;
      workers.delete(worker);
      tell(worker);
    }
  }

  return {
    add(worker, { memoryBytes, backends, floors, refusedCategories, stages, stageBytes }) {
      workers.delete(worker);
      workers.set(worker, { machine: { memoryBytes, backends, floors, refusedCategories, stages, stageBytes }, since: monotonic() });
    },
    remove(worker) {
      workers.delete(worker);
    },
    others(worker) {
      forgetGone();
      return workers.size > (workers.has(worker) ? 1 : 0);
    },
    wake(also = 0) {
      besides += also;
      // Much may have come at the same moment.
      if (waking) return;
      waking = true;
      setImmediate(() => {
        waking = false;
        wakeThem().catch((thrown: unknown) => log('error', 'not-woken', { detail: asHearthlendError(thrown).message }));
      });
    },
  };
}
