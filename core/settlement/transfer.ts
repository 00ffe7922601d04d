import { Interface } from 'ethers';
import { z } from 'zod';
import type { Address } from '../contract/receipt.ts';
import { NATIVE_TOKEN } from '../contract/voucher.ts';
import type { Call } from './fees.ts';
import { Bytes, type ChainRpc, Quantity } from './rpc.ts';

/** Source: EIP-20. */
const erc20 = new Interface(['function transfer(address to, uint256 amount)', 'function balanceOf(address account)']);
const Word = Bytes.pipe(z.string().length(66)).transform((word) => BigInt(word));

/** What sends so much of a token, or of the native one. */
export function transferCall(token: Address, to: Address, amount: bigint): Call {
  if (token === NATIVE_TOKEN) return { to, data: '0x', value: amount };
  return { to: token, data: erc20.encodeFunctionData('transfer', [to, amount]), value: 0n };
}

/** What a call sends, as `transferCall` made it; null for any other call. */
export function readTransfer({ to, data, value }: Call): { token: Address; amount: bigint } | null {
  if (to === null) return null;
  if (data === '0x') return { token: NATIVE_TOKEN, amount: value };
  try {
    const [, amount] = erc20.decodeFunctionData('transfer', data);
    return { token: to, amount: amount as bigint };
  } catch {
    return null;
  }
}

/** What an address has of a token, or of the native one. @throws CHAIN_*, RpcRefusal */
export function balanceOf(rpc: ChainRpc, token: Address, account: Address): Promise<bigint> {
  if (token === NATIVE_TOKEN) return rpc.ask('eth_getBalance', [account, 'latest'], Quantity);
  return rpc.ask('eth_call', [{ to: token, data: erc20.encodeFunctionData('balanceOf', [account]) }, 'latest'], Word);
}
