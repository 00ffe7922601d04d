import { hashMessage } from 'ethers';
import { asHearthlendError } from '../contract/errors.ts';
import { JOIN_PATHS, JoinReply, joinText, type RekeyRequest, rekeyText } from '../contract/joining.ts';
import type { Succession } from '../contract/succession.ts';
import { pathBetween } from '../contract/succession-hash.ts';
import { askJson } from './https.ts';
import { type Joiner, refusalOf } from './joining.ts';
import { makeWorkerKey, signText } from './keys.ts';
import type { JoinedNetwork } from './records.ts';

/** Whether a network still knows this machine by a worker key that it had before. */
export function isFormer({ worker }: Pick<JoinedNetwork, 'worker'>, present: string): boolean {
  return worker !== undefined && worker.toLowerCase() !== present.toLowerCase();
}

/** The record of a network that is to be told of the new worker key, with the key to connect that goes with it: kept before it is told. */
export function beforeRekey(record: JoinedNetwork): JoinedNetwork {
  return record.following === undefined ? { ...record, following: makeWorkerKey() } : record;
}

/**
 * Tells a network that this machine goes on under another worker key. Safe to repeat: it gives the same machine the same answer.
 * @param record as `beforeRekey` made it
 * @throws NETWORK_* as the network refuses or can't be reached
 */
export async function rekeyNetwork(record: JoinedNetwork, joiner: Joiner, successions: readonly Succession[]): Promise<JoinedNetwork> {
  const { id, nkey, seed, access, following, choices, worker = joiner.worker, ...rest } = record;
  if (following === undefined) return record;
  // Who was paid itself, without a wallet, is so under the new key.
  const itself = record.payee === undefined || record.payee.toLowerCase() === worker.toLowerCase();
  const payee = itself ? joiner.payee : (record.payee as string);
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
  let last: unknown;
  for (const base of access.https) {
    try {
      const { status, body } = await askJson({
        network: id,
        url: new URL(JOIN_PATHS.rekey, base).href,
        ca: access.ca,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      if (status !== 200) throw refusalOf(id, status, body);
      const { now, ...renewed } = JoinReply.parse(body);
      const { network, terms, ca } = access;
      return {
        ...rest,
        ...{ id, ...following, worker: joiner.worker, payee, choices },
        ...{ aheadMs: now - joiner.clock(), access: { ...renewed, network, terms, ca } },
      };
    } catch (thrown) {
      last = thrown;
      if (asHearthlendError(thrown).code !== 'NETWORK_UNREACHABLE') break;
    }
  }
  throw last;
}
