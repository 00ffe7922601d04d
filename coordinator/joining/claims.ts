import { getAddress } from 'ethers';
import type { WalletClaim } from '../../core/contract/delegation.ts';
import { claimParts } from '../../core/contract/delegation-hash.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { type NetworkTerms, PAYEE_DELAY_MS, type Payout } from '../../core/contract/joining.ts';
import type { Appends } from '../store.ts';
import { type ContractAccepts, requireSigned } from './delegations.ts';
import { isForNetwork, type PayoutChanges, type PayoutReads, payoutOf } from './payouts.ts';

export interface ClaimsParts {
  terms: NetworkTerms;
  payouts: PayoutReads & Appends<PayoutChanges>;
  /** Asks wallets that are contracts; null: only those that are keys can say something. */
  contractAccepts: ContractAccepts | null;
  clock(): number;
}

/**
 * Takes what a wallet says of its worker: that it earns for it, that it does so no more (at once), or that it is to be paid elsewhere (after the delay that
 * the terms state). Whoever brings it proves nothing by that, the wallet's signature does.
 * @throws NETWORK_DELEGATION_INVALID, NETWORK_MEMBER_UNKNOWN, NETWORK_WALLET_UNCHECKED, CHAIN_*
 */
export async function takeClaim({ terms, payouts, contractAccepts, clock }: ClaimsParts, given: WalletClaim): Promise<Payout> {
  const claim = withChecksums(given);
  const { wallet, worker, digest } = claimParts(claim);
  const invalid = (detail: string) => new HearthlendError('NETWORK_DELEGATION_INVALID', { detail });
  const now = clock();
  if (!isForNetwork(claim, terms.coordinator)) throw invalid('other-network');
  if (claim.kind === 'delegation' && now >= claim.delegation.expiry * 1000) throw invalid('expired');
  if (claim.kind === 'delegation' && now < claim.delegation.notBefore * 1000) throw invalid('too-early');
  // Before anything is asked of a chain for it.
  if ((await payouts.payout(worker)) === null) throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  await requireSigned({ wallet, digest, signature: claim.signature }, contractAccepts);
  const outcome = await payouts.claim(claim, now, terms.payeeDelayMs ?? PAYEE_DELAY_MS);
  if (outcome === 'unknown') throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  if (outcome !== 'taken') throw invalid(outcome);
  const record = await payouts.payout(worker);
  if (record === null) throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  return payoutOf(record, now);
}

/** Workers are known by their address with its checksum, whichever way a wallet wrote it. */
function withChecksums(claim: WalletClaim): WalletClaim {
  if (claim.kind === 'delegation')
    return { ...claim, delegation: { ...claim.delegation, worker: getAddress(claim.delegation.worker.toLowerCase()) } };
  if (claim.kind === 'revocation')
    return { ...claim, revocation: { ...claim.revocation, worker: getAddress(claim.revocation.worker.toLowerCase()) } };
  const { change } = claim;
  return {
    ...claim,
    change: { ...change, worker: getAddress(change.worker.toLowerCase()), payee: getAddress(change.payee.toLowerCase()) },
  };
}
