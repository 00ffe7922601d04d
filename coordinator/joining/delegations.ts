import type { SignedDelegation, WalletSignature } from '../../core/contract/delegation.ts';
import { delegationDigest, delegationFault, signedByWallet } from '../../core/contract/delegation-hash.ts';
import type { Bytes32 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Address } from '../../core/contract/receipt.ts';

/**
 * Asks a wallet that is a contract whether it takes a signature for its own (EIP-1271), on whatever chain this coordinator asks; null where it has
 * no code there. @throws CHAIN_*
 */
export type ContractAccepts = (wallet: Address, digest: Bytes32, signature: WalletSignature) => Promise<boolean | null>;

export interface DelegationQuestion {
  worker: Address;
  payee: Address;
  /** The key with which this network signs receipts. */
  networkKey: Address;
  /** ms since 1970. */
  now: number;
}

/**
 * Whom the wallet's delegation says to pay: the wallet. A wallet with code is asked itself, one without is its key.
 * @throws NETWORK_DELEGATION_INVALID where it doesn't hold here and now, or names another payee than is asked for
 */
export async function delegatedPayee(
  { delegation, signature }: SignedDelegation,
  { worker, payee, networkKey, now }: DelegationQuestion,
  contractAccepts: ContractAccepts | null,
): Promise<Address> {
  const invalid = (detail: string) => new HearthlendError('NETWORK_DELEGATION_INVALID', { detail });
  const fault = delegationFault(delegation, { worker, networkKey, now: Math.floor(now / 1000), revokedUpTo: null });
  if (fault !== null) throw invalid(fault);
  if (delegation.wallet.toLowerCase() !== payee.toLowerCase()) throw invalid('other-payee');
  await requireSigned({ wallet: delegation.wallet, digest: delegationDigest(delegation), signature }, contractAccepts);
  return delegation.wallet;
}

/**
 * A wallet with code is asked itself, one without is its key.
 * @throws NETWORK_DELEGATION_INVALID, NETWORK_WALLET_UNCHECKED where it may be a contract's and no chain can be asked, CHAIN_*
 */
export async function requireSigned(
  { wallet, digest, signature }: { wallet: Address; digest: Bytes32; signature: WalletSignature },
  contractAccepts: ContractAccepts | null,
): Promise<void> {
  const byContract = contractAccepts === null ? null : await contractAccepts(wallet, digest, signature);
  if (byContract ?? signedByWallet(digest, signature, wallet)) return;
  if (contractAccepts === null) throw new HearthlendError('NETWORK_WALLET_UNCHECKED', { wallet });
  throw new HearthlendError('NETWORK_DELEGATION_INVALID', { detail: 'not-signed' });
}
