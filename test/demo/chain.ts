import type { Contract } from 'ethers';
import type { ChainConfig } from '../../core/contract/chain.ts';
import { type Chain, escrowArtifact, startChain } from '../anvil.ts';

export const SYMBOL = 'DEMO';
export const DECIMALS = 18;
/** A thousand tokens are a tenth of a whole one. */
export const PRICE = 10n ** 14n;
const DEPOSIT = 10n ** 18n;
/** What a machine's key for fees is given: a claim costs some 100,000 gas. */
const GAS = 10n ** 15n;
const SECOND_S = 1;
const ANSWER_MS = 2000;
const THAW_S = 86_400;
/** anvil's funded accounts, by what they are here. */
const PAYER = 1;
const FAUCET = 2;

/** A chain of this demonstration's own with the escrow on it: a block a second, and money that nobody has any use of. */
export interface DemoChain {
  readonly chain: Chain;
  readonly contract: string;
  readonly payer: string;
  readonly asset: string;
  /** As a machine's settings have it. */
  readonly config: ChainConfig;
  /** The payer puts money into the escrow, and lets the coordinator sign vouchers for it. Gives what the contract then holds. */
  fund(coordinator: string): Promise<bigint>;
  /** Gives a key for fees what it needs, by a transaction like any other. */
  giveGas(address: string): Promise<void>;
  balance(address: string): Promise<bigint>;
  /** The block that a transaction is in, once it is in one. @throws where it failed */
  mined(hash: string): Promise<number>;
}

export async function openChain(): Promise<DemoChain> {
  const chain = await startChain({ blockSeconds: SECOND_S });
  try {
    return await withEscrow(chain);
  } catch (thrown) {
    await chain.stop();
    throw thrown;
  }
}

async function withEscrow(chain: Chain): Promise<DemoChain> {
  const escrow = await chain.deploy(escrowArtifact(), [THAW_S]);
  const contract = (await escrow.getAddress()).toLowerCase();
  const payer = chain.account(PAYER);
  const asPayer = escrow.connect(payer) as Contract;
  // One faucet for several machines: its transactions are numbered one after the other.
  let nonce = await chain.provider.getTransactionCount(chain.account(FAUCET).address);
  return {
    ...{ chain, contract, payer: payer.address, asset: `eip155:${chain.chainId}/slip44:60` },
    config: {
      ...{ chainId: chain.chainId, name: 'Local demonstration', rpc: [chain.url], explorer: null, symbol: SYMBOL, confirmations: 2 },
      ...{ tokens: [], escrow: contract, test: true },
    },
    async fund(coordinator) {
      const first = await chain.provider.getTransactionCount(payer.address);
      const sent = await Promise.all([
        asPayer.getFunction('deposit')({ value: DEPOSIT, nonce: first, gasLimit: 500_000 }),
        asPayer.getFunction('authoriseSigner')(coordinator, { nonce: first + 1, gasLimit: 500_000 }),
      ]);
      await Promise.all(sent.map((transaction) => transaction.wait()));
      return chain.provider.getBalance(contract);
    },
    async giveGas(address) {
      const mine = nonce;
      nonce += 1;
      await (await chain.account(FAUCET).sendTransaction({ to: address, value: GAS, nonce: mine })).wait();
    },
    async balance(address) {
      // Asked many times a second: one plain question each, that is given up where no answer comes.
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBalance', params: [address, 'latest'] });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(chain.url, { method: 'POST', headers, body, signal: AbortSignal.timeout(ANSWER_MS) });
      return BigInt(((await answer.json()) as { result: string }).result);
    },
    async mined(hash) {
      const receipt = await chain.provider.waitForTransaction(hash);
      if (receipt?.status !== 1) throw new Error(`transaction ${hash} failed`);
      return receipt.blockNumber;
    },
  };
}
