import { getAddress, Interface, isAddress, ZeroAddress } from 'ethers';
import artifact from '../../../resources/contracts/HearthlendEscrow.json' with { type: 'json' };
import { NATIVE_DECIMALS } from '../../contract/chain.ts';
import { HearthlendError } from '../../contract/errors.ts';
import { formatBaseUnits } from '../../contract/money.ts';
import type { Address } from '../../contract/receipt.ts';
import type { SignerWords, ToSign, TransactionToSign } from '../../contract/signing.ts';
import { type Meaning, requirePlausible, told, unsigned } from './meaning.ts';

const abi = new Interface(artifact.abi);
const approval = new Interface(['function approve(address spender, uint256 amount)']);
type Params = SignerWords['params'];

/** The acts of a payer on its escrow, by the contract's names for them, with how each is said. */
const ACTS: Record<string, { key: SignerWords['key']; params(args: readonly unknown[]): Params }> = {
  depositToken: { key: 'signer.escrow-deposit-token', params: ([token, units]) => ({ token: checked(token), units: String(units) }) },
  startWithdrawal: { key: 'signer.escrow-thaw', params: ([token, units]) => ({ ...tokenOf(token), units: String(units) }) },
  cancelWithdrawal: { key: 'signer.escrow-keep', params: ([token]) => tokenOf(token) },
  withdraw: { key: 'signer.escrow-withdraw', params: ([token, to]) => ({ ...tokenOf(token), to: checked(to) }) },
  earmark: { key: 'signer.escrow-earmark', params: (args) => ({ ...channelOf(args), units: String(args[3]) }) },
  startRelease: { key: 'signer.escrow-thaw-earmark', params: (args) => ({ ...channelOf(args), units: String(args[3]) }) },
  release: { key: 'signer.escrow-release', params: channelOf },
  authoriseSigner: { key: 'signer.escrow-authorise', params: ([signer]) => ({ signer: checked(signer) }) },
  revokeSigner: { key: 'signer.escrow-revoke', params: ([signer]) => ({ signer: checked(signer) }) },
};

/**
 * Reads off a payer's transaction what it does with an escrow. The key of a payer signs nothing else: no send, no claim, nothing about a worker. What is not
 * known by its every byte is refused. Pure. @throws TRANSACTION_REFUSED
 */
export function payerMeaningOf(what: ToSign): Meaning {
  if (what.kind !== 'transaction') throw refused('a payer signs transactions of its escrow alone');
  const { transaction } = what;
  requirePlausible(transaction);
  const { unsignedHash } = unsigned(transaction);
  return told(wordsOf(transaction), null, unsignedHash);
}

function wordsOf({ chainId, to, value, data }: TransactionToSign): SignerWords {
  const chain = { chainId: String(chainId) };
  const native = BigInt(value);
  if (to === null) {
    if (native !== 0n) throw refused('it pays a contract that is only being made');
    return { key: 'signer.escrow-deploy', params: { ...chain, thawHours: Math.round((thawSecondsIn(data) / 3600) * 10) / 10 } };
  }
  const contract = checked(to);
  if (same(data, abi.encodeFunctionData('deposit'))) {
    if (native === 0n) throw refused('it deposits nothing');
    return { key: 'signer.escrow-deposit', params: { ...chain, contract, amount: formatBaseUnits(native, NATIVE_DECIMALS) } };
  }
  if (native !== 0n) throw refused('it pays something that it does not deposit');
  const approved = decoded(approval, 'approve', data);
  if (approved !== null) {
    const [spender, units] = approved;
    return { key: 'signer.escrow-approve', params: { ...chain, token: contract, contract: checked(spender), units: String(units) } };
  }
  for (const [name, { key, params }] of Object.entries(ACTS)) {
    const args = decoded(abi, name, data);
    if (args !== null) return { key, params: { ...chain, contract, ...params(args) } };
  }
  throw refused('it is nothing that a payer does with its escrow');
}

/** The arguments of a call; null where it is not one by its every byte. */
function decoded(of: Interface, name: string, data: string): readonly unknown[] | null {
  try {
    const args = [...of.decodeFunctionData(name, data)];
    return same(of.encodeFunctionData(name, args), data) ? args : null;
  } catch {
    return null;
  }
}

/** The thawing time with which our own contract would be made: its very bytes, and nothing else. */
function thawSecondsIn(data: string): number {
  const code = artifact.bytecode.toLowerCase();
  const rest = data.toLowerCase().startsWith(code) ? data.slice(code.length) : '';
  if (!/^0{48}[0-9a-fA-F]{16}$/.test(rest)) throw refused('it makes a contract that is not Hearthlend’s escrow');
  return Number(BigInt(`0x${rest}`));
}

function channelOf([worker, payee, token]: readonly unknown[]): Params {
  return { worker: checked(worker), payee: checked(payee), ...tokenOf(token) };
}

/** The native token has no contract, and no name that this process knows. */
function tokenOf(token: unknown): Params {
  return token === ZeroAddress ? { native: 'yes', token: '' } : { native: 'no', token: checked(token) };
}

function checked(address: unknown): Address {
  if (typeof address !== 'string' || !isAddress(address) || address === ZeroAddress)
    throw refused('an address in it is nobody’s, or mistyped');
  return getAddress(address);
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function refused(detail: string): HearthlendError {
  return new HearthlendError('TRANSACTION_REFUSED', { detail });
}
