import { asHearthlendError } from '../core/contract/errors.ts';
import type { JobStatus, LeaseRequest } from '../core/contract/network.ts';
import type { Address } from '../core/contract/receipt.ts';
import type { Context } from './context.ts';
import { type Machine, priceToRun } from './leasing/demand.ts';
import type { Worker } from './service.ts';
import type { Asker } from './trust/seconds.ts';

/** A machine that asks for work is written down again after so long, or once it says something else of itself. */
const AGAIN_MS = 300_000;
/** Machines that asked this lately could take work, at their price. */
const LATELY_MS = 900_000;
const MAX_KEPT = 100_000;
/** For so long what they said is not read again. */
const READ_EVERY_MS = 5000;

/** Who asked this coordinator so lately may be lent something in particular before long. */
const ASKS_AGAIN_MS = 120_000;

/** What the machines that ask for work say of themselves, for those whose work none of them takes, and for audits by one of them. */
export interface Machines {
  seen(worker: Worker, request: LeaseRequest): void;
  /** Those that asked this coordinator lately, the latest last. */
  askers(): Asker[];
  /** A job that waits because it pays less than every machine asks, with the price at which it would run. */
  priced(job: JobStatus): Promise<JobStatus>;
}

export function createMachines({ store, clock, monotonic, log }: Pick<Context, 'store' | 'clock' | 'monotonic' | 'log'>): Machines {
  const written = new Map<Address, { text: string; at: number }>();
  const askers = new Map<Address, Asker & { at: number }>();
  let lately: { machines: Promise<Machine[]>; at: number } | undefined;

  function seenLately(): Promise<Machine[]> {
    const now = monotonic();
    if (lately === undefined || now - lately.at >= READ_EVERY_MS) {
      const machines = store.machinesSeenSince(clock() - LATELY_MS);
      machines.catch(() => {
        lately = undefined;
      });
      lately = { machines, at: now };
    }
    return lately.machines;
  }

  function forgetSilent(now: number): void {
    for (const [worker, { at }] of askers) {
      if (now - at <= ASKS_AGAIN_MS && askers.size < MAX_KEPT) return;
      askers.delete(worker);
    }
  }

  return {
    askers() {
      forgetSilent(monotonic());
      return [...askers.values()];
    },
    seen({ address: worker, payee }, request) {
      const { memoryBytes, backends, floors, refusedCategories, stages } = request;
      const machine: Machine = { memoryBytes, backends, floors, refusedCategories, stages };
      const text = JSON.stringify(machine);
      const last = written.get(worker);
      const now = monotonic();
      askers.delete(worker);
      forgetSilent(now);
      askers.set(worker, { address: worker, payee, request, at: now });
      if (last !== undefined && last.text === text && now - last.at < AGAIN_MS) return;
      if (written.size >= MAX_KEPT) written.clear();
      written.set(worker, { text, at: now });
      store.seeMachine(worker, JSON.parse(text) as Machine, clock()).catch((thrown: unknown) => {
        written.delete(worker);
        log('error', 'machine-not-noted', { detail: asHearthlendError(thrown).message });
      });
    },
    async priced(job) {
      if (job.state !== 'queued') return job;
      const [demand, ...others] = await store.demandsOfJob(job.id);
      // One whose shards ask for different things is lent piece by piece.
      if (demand === undefined || others.length > 0) return job;
      const price = priceToRun(demand, await seenLately());
      return price === null ? job : { ...job, wouldRunAt: price.toString() };
    },
  };
}
