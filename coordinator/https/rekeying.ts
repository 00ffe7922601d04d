import { getAddress, verifyMessage } from 'ethers';
import { HearthlendError } from '../../core/contract/errors.ts';
import { JOIN_PATHS, type JoinReply, joinText, PAYEE_DELAY_MS, RekeyRequest, rekeyText, understands } from '../../core/contract/joining.ts';
import { pathBetween } from '../../core/contract/succession-hash.ts';
import { delegatedPayee } from '../joining/delegations.ts';
import { newPayout, payoutAt, sameAddress, stoppedWhy } from '../joining/payouts.ts';
import { answerJson, readJson } from './answer.ts';
import { admit, isKey, type JoiningOptions, parse, requireOfNow, signedBy, workerOf } from './joining.ts';
import { HTTPS_LIMITS } from './limits.ts';
import type { Route } from './server.ts';

/** Where a machine that joined goes on under a new worker key: by the old one's word for it and by the key that it connects with. */
export function rekeyingRoute(options: JoiningOptions): Route {
  return {
    methods: ['POST'],
    path: JOIN_PATHS.rekey,
    name: 'rekey',
    rate: { atOnce: 60, perSecond: 5 },
    async answer(request, response) {
      answerJson(response, 200, await rekey(options, parse(RekeyRequest, await readJson(request, HTTPS_LIMITS.joinBytes))));
    },
  };
}

/**
 * The payee stays, so that nobody who stole a key can turn what it earns elsewhere; only who was paid itself, without a wallet, is so under the new
 * key too. @throws NETWORK_VERSION, NETWORK_SIGNATURE_INVALID, NETWORK_CLOCK_SKEW, NETWORK_MEMBER_UNKNOWN, NETWORK_REVOKED, NETWORK_DELEGATION_INVALID
 */
async function rekey(options: JoiningOptions, request: RekeyRequest): Promise<JoinReply> {
  const { terms, members, version, clock } = options;
  const { nkey, signature, successor, successions } = request;
  if (!understands(successor.version, version)) {
    throw new HearthlendError('NETWORK_VERSION', { running: version, version: successor.version });
  }
  if (!signedBy(nkey, rekeyText(terms.id, request), signature)) throw new HearthlendError('NETWORK_SIGNATURE_INVALID');
  requireOfNow(request.at, clock());
  const worker = getAddress(successor.worker);
  const former = await members.member(nkey);
  if (former === null) throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  const now = clock();
  const record = payoutAt((await members.payout(former.worker)) ?? newPayout(former.worker, former.payee), now);
  const itself = sameAddress(record.payee, former.worker);
  const payee = itself && sameAddress(successor.payee, worker) ? worker : record.payee;
  const own = signer(joinText(terms.id, successor.nkey, payee), successor.signature) === worker;
  if (!own || !isKey(successor.nkey) || pathBetween(successions, former.worker, worker) === null) {
    throw new HearthlendError('NETWORK_SIGNATURE_INVALID');
  }
  const { delegation } = successor;
  const stopped = stoppedWhy(record, now);
  if (delegation !== undefined) {
    const asked = { worker, payee: record.wallet ?? payee, networkKey: terms.coordinator, now };
    await delegatedPayee(delegation, asked, options.contractAccepts ?? null);
  } else if (stopped !== null) throw new HearthlendError('NETWORK_DELEGATION_INVALID', { detail: stopped });
  const outcome = await members.succeed(nkey, { nkey: successor.nkey, worker, payee, version: successor.version }, now);
  if (outcome === 'unknown') throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  if (outcome !== 'succeeded') throw new HearthlendError('NETWORK_REVOKED');
  if (delegation !== undefined) {
    const claim = { kind: 'delegation' as const, ...delegation, delegation: { ...delegation.delegation, worker } };
    await members.claim(claim, now, terms.payeeDelayMs ?? PAYEE_DELAY_MS);
  }
  return admit(options, successor.nkey, await workerOf(members, successor.nkey, now));
}

function signer(text: string, signature: string): string | null {
  try {
    return verifyMessage(text, signature);
  } catch {
    return null;
  }
}
