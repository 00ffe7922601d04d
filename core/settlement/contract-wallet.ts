import { Interface } from 'ethers';
import type { WalletSignature } from '../contract/delegation.ts';
import type { Bytes32 } from '../contract/digest.ts';
import type { Address } from '../contract/receipt.ts';
import { Bytes, type ChainRpc, quantity, RpcRefusal } from './rpc.ts';

/** What a contract answers that takes a signature for its own. Source: EIP-1271. */
const abi = new Interface(['function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)']);
const MAGIC = '0x1626ba7e';
/** A wallet that is a key and has a contract's code do some of its work. Its key signs as ever. Source: EIP-7702. */
const LENT_CODE = '0xef0100';

/**
 * Whether the contract at a wallet's address takes a signature for its own; null where there is no code, and the address is its key.
 * @throws CHAIN_UNREACHABLE, CHAIN_ID_WRONG, CHAIN_DISAGREES
 */
export async function contractAccepts(
  rpc: ChainRpc,
  wallet: Address,
  digest: Bytes32,
  signature: WalletSignature,
): Promise<boolean | null> {
  const block = quantity(await rpc.head());
  const { value: code } = await rpc.askTwo('eth_getCode', [wallet, block], Bytes);
  if (code === '0x') return null;
  const call = { to: wallet, data: abi.encodeFunctionData('isValidSignature', [digest, signature]) };
  const taken = await rpc.askTwo('eth_call', [call, block], Bytes).then(
    ({ value }) => value.length === 66 && value.startsWith(MAGIC),
    (thrown: unknown) => {
      // It reverts, or has no such function: that is a no.
      if (thrown instanceof RpcRefusal) return false;
      throw thrown;
    },
  );
  return !taken && code.toLowerCase().startsWith(LENT_CODE) ? null : taken;
}
