import { join } from 'node:path';
import { readSecret, writeSecret } from '../../coordinator/files.ts';
import type { ContractAccepts } from '../../coordinator/joining/delegations.ts';
import type { ReadEscrow } from '../../coordinator/operating/escrow.ts';
import { CHAIN_PRESETS, ChainConfig } from '../../core/contract/chain.ts';
import { contractAccepts } from '../../core/settlement/contract-wallet.ts';
import { readEscrow } from '../../core/settlement/escrow.ts';
import { type ChainRpc, openChainRpc } from '../../core/settlement/rpc.ts';

const chainPath = (dir: string) => join(dir, 'chain.json');

/** The chain that an operator named for a coordinator's folder. Its file is a secret: an endpoint's address may hold a key. @throws COORDINATOR_FILE_INVALID */
export function readChain(dir: string): ChainConfig | null {
  return readSecret(chainPath(dir), ChainConfig);
}

export function writeChain(dir: string, chain: ChainConfig): void {
  writeSecret(chainPath(dir), `${JSON.stringify(chain, null, 2)}\n`);
}

/**
 * The way to a chain (null: to the one that the operator named): by what the operator named, else by the endpoints that are known of it; null where there
 * are none.
 */
export function chainOf(dir: string, chainId: number | null): ChainRpc | null {
  const named = readChain(dir);
  const known = CHAIN_PRESETS.find((chain) => chain.chainId === chainId);
  const config = named !== null && (chainId === null || named.chainId === chainId) ? named : known;
  return config === undefined ? null : openChainRpc(config);
}

/** How a coordinator's escrow is read on its chain; null where no way to it is known. */
export function escrowReader(rpc: ChainRpc | null): ReadEscrow | null {
  return rpc === null ? null : (what, channels) => readEscrow(rpc, what, channels);
}

/** How wallets that are contracts are asked; null where no way to the chain is known. */
export function walletReader(rpc: ChainRpc | null): ContractAccepts | null {
  return rpc === null ? null : (wallet, digest, signature) => contractAccepts(rpc, wallet, digest, signature);
}
