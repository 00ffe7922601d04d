import { Interface } from 'ethers';
import artifact from '../../resources/contracts/HearthlendEscrow.json' with { type: 'json' };
import type { Address } from '../contract/receipt.ts';
import { NATIVE_TOKEN } from '../contract/voucher.ts';
import type { Call } from './fees.ts';
import { Bytes, type ChainRpc } from './rpc.ts';

const abi = new Interface(artifact.abi);
/** Source: EIP-20. */
const erc20 = new Interface([
  'function approve(address spender, uint256 amount)',
  'function allowance(address owner, address spender) view returns (uint256)',
]);

interface Channel {
  worker: Address;
  payee: Address;
  token: Address;
}

/** What a payer does with its escrow. Amounts in base units of the token. */
export type EscrowAct =
  | { kind: 'deploy'; thawSeconds: number }
  | { kind: 'deposit'; token: Address; amount: bigint }
  /** Lets the escrow take so much of a token, for the deposit that follows. */
  | { kind: 'approve'; token: Address; amount: bigint }
  | { kind: 'thaw'; token: Address; amount: bigint }
  | { kind: 'keep'; token: Address }
  | { kind: 'withdraw'; token: Address; to: Address }
  | ({ kind: 'earmark' | 'thaw-earmark'; amount: bigint } & Channel)
  | ({ kind: 'release' } & Channel)
  | { kind: 'authorise' | 'revoke'; signer: Address };

/** The transaction that does it. `contract` is the escrow; its making needs none. */
export function escrowCall(contract: Address | null, act: EscrowAct): Call {
  if (act.kind === 'deploy') return { to: null, data: artifact.bytecode + abi.encodeDeploy([act.thawSeconds]).slice(2), value: 0n };
  if (contract === null) throw new TypeError('an escrow is there before anything is done with it');
  if (act.kind === 'approve') return { to: act.token, data: erc20.encodeFunctionData('approve', [contract, act.amount]), value: 0n };
  if (act.kind === 'deposit' && act.token === NATIVE_TOKEN)
    return { to: contract, data: abi.encodeFunctionData('deposit'), value: act.amount };
  const [name, args] = encoded(act);
  return { to: contract, data: abi.encodeFunctionData(name, args), value: 0n };
}

function encoded(act: Exclude<EscrowAct, { kind: 'deploy' | 'approve' }>): [string, readonly unknown[]] {
  switch (act.kind) {
    case 'deposit':
      return ['depositToken', [act.token, act.amount]];
    case 'thaw':
      return ['startWithdrawal', [act.token, act.amount]];
    case 'keep':
      return ['cancelWithdrawal', [act.token]];
    case 'withdraw':
      return ['withdraw', [act.token, act.to]];
    case 'earmark':
      return ['earmark', [act.worker, act.payee, act.token, act.amount]];
    case 'thaw-earmark':
      return ['startRelease', [act.worker, act.payee, act.token, act.amount]];
    case 'release':
      return ['release', [act.worker, act.payee, act.token]];
    case 'authorise':
      return ['authoriseSigner', [act.signer]];
    case 'revoke':
      return ['revokeSigner', [act.signer]];
  }
}

/** How much of a token an escrow may take of a payer. */
export async function allowanceOf(rpc: ChainRpc, token: Address, owner: Address, contract: Address): Promise<bigint> {
  const call = { to: token, data: erc20.encodeFunctionData('allowance', [owner, contract]) };
  const { value } = await rpc.askTwo('eth_call', [call, 'latest'], Bytes);
  return BigInt(erc20.decodeFunctionResult('allowance', value)[0]);
}

/** The thawing time of the escrow at an address; null where there is no escrow. */
export async function thawSecondsOf(rpc: ChainRpc, contract: Address): Promise<number | null> {
  const { value } = await rpc.askTwo('eth_call', [{ to: contract, data: abi.encodeFunctionData('thawSeconds') }, 'latest'], Bytes);
  return value.length === 66 ? Number(BigInt(value)) : null;
}
