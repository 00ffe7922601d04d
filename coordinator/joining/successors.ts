import type { WorkerNkey } from '../../core/contract/joining.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Member } from './members.ts';

/** A worker of before: under which key a machine worked here, and who was paid for it. */
export interface FormerWorker {
  worker: Address;
  payee: Address;
}

/** Machines that work under a new key: what they earned under the old one stays, and nobody works under that any more. */
export interface SuccessorReads {
  /** Those that a worker takes the place of, the latest first. */
  formerWorkers(worker: Address): Promise<FormerWorker[]>;
  /** The key that whoever is in a worker's place now connects with; null where nobody may. */
  nkeyInPlaceOf(worker: Address): Promise<WorkerNkey | null>;
}

export interface SuccessorChanges {
  /**
   * Puts a new worker in the place of the member that connects with `nkey`, which is shut out; the same again for the machine that is there already.
   * How that one stands (offences, a suspension) goes along. `taken`: the new key was a worker here before.
   */
  succeed(
    nkey: WorkerNkey,
    successor: Pick<Member, 'nkey' | 'worker' | 'payee' | 'version'>,
    at: number,
  ): 'succeeded' | 'unknown' | 'revoked' | 'taken';
}
