import { createHash } from 'node:crypto';
import { AbiCoder, getAddress, isAddress, Transaction, ZeroAddress } from 'ethers';
import { NATIVE_DECIMALS } from '../../contract/chain.ts';
import { ANY_NETWORK, DELEGATION_DAYS } from '../../contract/delegation.ts';
import { delegationDigest, payeeDigest, revocationDigest } from '../../contract/delegation-hash.ts';
import { type Bytes32, canonicalJson } from '../../contract/digest.ts';
import { HearthlendError } from '../../contract/errors.ts';
import { type AssetId, formatBaseUnits } from '../../contract/money.ts';
import type { Address } from '../../contract/receipt.ts';
import type { SignerWords, ToSign, TransactionToSign } from '../../contract/signing.ts';
import { assetOf, NATIVE_TOKEN } from '../../contract/voucher.ts';

/** `transfer(address,uint256)`. Source: EIP-20; the selector is the first four bytes of its keccak-256. */
const TRANSFER = '0xa9059cbb';
/** The selector and two words of 32 bytes, as hex digits with 0x. */
const TRANSFER_CHARACTERS = 2 + 2 * (4 + 64);
/** More than any send takes; what is asked for beyond it is a mistake, or fees for somebody. */
const MAX_GAS = 10_000_000n;
const LONGEST_SECONDS = DELEGATION_DAYS.most * 86_400;

/** What would leave the wallet, in base units by asset, and the nonce under which it would. */
export interface Spending {
  chainId: number;
  nonce: number;
  amounts: ReadonlyArray<{ asset: AssetId; amount: bigint }>;
}

/** What something means that is to be signed: in words, in money, and as the 32 bytes to sign. */
export interface Meaning {
  words: SignerWords;
  seen: Bytes32;
  spending: Spending | null;
  digest: Bytes32;
}

/** Reads off what is to be signed by `wallet` all that it does, at `now` (seconds since 1970). @throws TRANSACTION_REFUSED for all that it doesn't know */
export type ReadMeaning = (what: ToSign, wallet: Address, now: number) => Meaning;

/**
 * Reads off what is to be signed all that it does. Whatever it doesn't know by its every byte is refused. Pure.
 * @param now seconds since 1970
 * @throws TRANSACTION_REFUSED
 */
export function meaningOf(what: ToSign, wallet: Address, now: number): Meaning {
  if (what.kind === 'transaction') return meaningOfTransaction(what.transaction);
  if (what.kind === 'revocation') {
    const { revocation } = what;
    requireOwn(revocation.wallet, wallet);
    const params = { worker: checked(revocation.worker, 'the worker'), nonce: String(revocation.nonce) };
    return told({ key: 'signer.revoke', params }, null, revocationDigest(revocation));
  }
  if (what.kind === 'payee') {
    const { change } = what;
    requireOwn(change.wallet, wallet);
    const anywhere = change.networkKey === ANY_NETWORK;
    const params = {
      ...{ worker: checked(change.worker, 'the worker'), payee: checked(change.payee, 'the payee'), nonce: String(change.nonce) },
      ...{ anywhere: anywhere ? 'yes' : 'no', network: anywhere ? '' : checked(change.networkKey, 'the network') },
    };
    return told({ key: 'signer.payee', params }, null, payeeDigest(change));
  }
  const { delegation } = what;
  requireOwn(delegation.wallet, wallet);
  const { notBefore, expiry } = delegation;
  if (expiry <= notBefore || expiry <= now) throw refused('it is over before it begins');
  if (expiry - Math.min(now, notBefore) > LONGEST_SECONDS) throw refused(`it lasts longer than ${DELEGATION_DAYS.most} days`);
  const params = {
    ...{ wallet, worker: checked(delegation.worker, 'the worker'), nonce: String(delegation.nonce) },
    ...{ from: instant(notBefore), until: instant(expiry) },
  };
  const words: SignerWords =
    delegation.networkKey === ANY_NETWORK
      ? { key: 'signer.delegate', params }
      : { key: 'signer.delegate-one', params: { ...params, network: checked(delegation.networkKey, 'the network') } };
  return told(words, null, delegationDigest(delegation));
}

/** The transaction as ethers has it. @throws TRANSACTION_REFUSED where it can't be one */
export function unsigned({ chainId, nonce, to, value, data, ...fees }: TransactionToSign): Transaction {
  try {
    return Transaction.from({ type: 2, chainId, nonce, to, value, data, ...fees, accessList: [] });
  } catch {
    throw refused('it is none that a chain would take');
  }
}

/** What a transaction costs at most, in base units of the native token. @throws TRANSACTION_REFUSED where nobody would mean that */
export function requirePlausible(transaction: TransactionToSign): bigint {
  const [gasLimit, maxFee, priority] = [transaction.gasLimit, transaction.maxFeePerGas, transaction.maxPriorityFeePerGas].map(BigInt) as [
    bigint,
    bigint,
    bigint,
  ];
  if (gasLimit > MAX_GAS) throw refused(`it would take ${gasLimit} gas`);
  if (priority > maxFee) throw refused('its tip is more than its fee');
  return gasLimit * maxFee;
}

function meaningOfTransaction(transaction: TransactionToSign): Meaning {
  const { chainId, nonce } = transaction;
  if (transaction.to === null) throw refused('it makes a contract');
  const to = checked(transaction.to, 'the receiver');
  const value = BigInt(transaction.value);
  const fees = requirePlausible(transaction);
  const domain = { chainId, contract: NATIVE_TOKEN };
  const native = assetOf(domain, NATIVE_TOKEN);
  const { unsignedHash } = unsigned(transaction);
  const transfer = transferIn(transaction.data.toLowerCase());
  if (transfer === null) {
    if (transaction.data !== '0x') throw refused('it calls a contract for something else than a transfer');
    if (value === 0n) throw refused('it sends nothing');
    const words = {
      key: 'signer.send-native',
      params: { to, chainId: String(chainId), amount: formatBaseUnits(value, NATIVE_DECIMALS) },
    } as const;
    return told(words, { chainId, nonce, amounts: [{ asset: native, amount: value + fees }] }, unsignedHash);
  }
  const receiver = checked(transfer.to, 'the receiver');
  if (value !== 0n) throw refused('it pays a token contract, which would keep it');
  if (transfer.amount === 0n) throw refused('it sends nothing');
  if (receiver === to) throw refused('it sends a token to its own contract, which would keep it');
  const words = {
    key: 'signer.send-token',
    params: { to: receiver, token: to, chainId: String(chainId), units: transfer.amount.toString() },
  } as const;
  const amounts = [
    { asset: assetOf(domain, to), amount: transfer.amount },
    { asset: native, amount: fees },
  ];
  return told(words, { chainId, nonce, amounts }, unsignedHash);
}

/** An ERC-20 transfer's receiver and amount; null for what is not one by its every byte. */
function transferIn(data: string): { to: Address; amount: bigint } | null {
  if (!data.startsWith(TRANSFER) || data.length !== TRANSFER_CHARACTERS) return null;
  // The address's word begins with twelve bytes of nothing: some tokens read what stands there otherwise.
  if (!/^0{24}$/.test(data.slice(10, 34))) return null;
  const [to, amount] = AbiCoder.defaultAbiCoder().decode(['address', 'uint256'], `0x${data.slice(10)}`);
  return { to: to as Address, amount: amount as bigint };
}

export function told(words: SignerWords, spending: Spending | null, digest: Bytes32): Meaning {
  return { words, seen: `0x${createHash('sha256').update(canonicalJson(words)).digest('hex')}`, spending, digest };
}

/** With its checksum; of an address in capitals that came with one, the checksum has to be right. */
function checked(address: Address, what: string): Address {
  if (!isAddress(address)) throw refused(`${what}’s address has a wrong checksum`);
  if (address === ZeroAddress) throw refused(`${what} is nobody`);
  return getAddress(address);
}

function requireOwn(named: Address, wallet: Address): void {
  if (named.toLowerCase() !== wallet.toLowerCase()) throw refused('it is in the name of another wallet');
}

function instant(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) throw refused('its times are none');
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function refused(detail: string): HearthlendError {
  return new HearthlendError('TRANSACTION_REFUSED', { detail });
}
