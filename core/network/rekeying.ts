import { hashMessage } from 'ethers';
import { JOIN_PATHS, joinText, type RekeyRequest, rekeyText } from '../contract/joining.ts';
import type { Address } from '../contract/receipt.ts';
import type { Succession } from '../contract/succession.ts';
import { pathBetween } from '../contract/succession-hash.ts';
import { askForAccess } from './granting.ts';
import type { Joiner } from './joining.ts';
import { makeWorkerKey, signText, type WorkerKey } from './keys.ts';
import type { JoinedNetwork } from './records.ts';

/** Whether a network still knows this machine by a worker key that it had before. */
export function isFormer({ worker }: Pick<JoinedNetwork, 'worker'>, present: string): boolean {
  return worker !== undefined && worker.toLowerCase() !== present.toLowerCase();
}

/** Whom the network pays, by its own clock: what it said last, else whom this machine joined for. */
function payeeKnown({ payee, access }: JoinedNetwork, now: number): Address | undefined {
  const { payout } = access;
  if (payout === undefined) return payee;
  return payout.next !== null && now >= payout.next.at ? payout.next.payee : payout.payee;
}

/** The record of a network that is to be told of the new worker key, with the key to connect that goes with it: kept before it is told. */
export function beforeRekey(record: JoinedNetwork): ToBeRekeyed {
  return { ...record, following: record.following ?? makeWorkerKey() };
}

/** A record with the key to connect that goes with the new worker key. */
type ToBeRekeyed = JoinedNetwork & { following: WorkerKey };

/** What of a record is another once the network knows the new worker key. */
type Rekeyed = Pick<JoinedNetwork, 'nkey' | 'seed' | 'aheadMs' | 'access'> & { worker: Address; payee: Address };

/**
 * Tells a network that this machine goes on under another worker key. Safe to repeat: it gives the same machine the same answer.
 * @param record as `beforeRekey` made it
 * @throws NETWORK_* as the network refuses or can't be reached
 */
export async function rekeyNetwork(record: ToBeRekeyed, joiner: Joiner, successions: readonly Succession[]): Promise<Rekeyed> {
  const { id, nkey, seed, access, following, worker = joiner.worker } = record;
  // Who was paid itself, without a wallet, is so under the new key.
  const before = payeeKnown(record, joiner.clock() + record.aheadMs) ?? worker;
  const payee = before.toLowerCase() === worker.toLowerCase() ? joiner.payee : before;
  const successor: RekeyRequest['successor'] = {
    nkey: following.nkey,
    worker: joiner.worker,
    payee,
    signature: joiner.signDigest(hashMessage(joinText(id, following.nkey, payee))),
    version: joiner.version,
    ...(joiner.delegation ? { delegation: joiner.delegation } : {}),
  };
  const at = joiner.clock() + record.aheadMs;
  const path = pathBetween(successions, worker, joiner.worker) ?? [];
  const request: RekeyRequest = {
    ...{ nkey, at, successions: path, successor },
    signature: signText(seed, rekeyText(id, { nkey, at, successor })),
  };
  const reached = await askForAccess({ id, access }, JOIN_PATHS.rekey, request, () => joiner.clock());
  return { ...following, worker: joiner.worker, payee, ...reached };
}
