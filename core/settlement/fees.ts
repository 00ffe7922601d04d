import { z } from 'zod';
import type { Address } from '../contract/receipt.ts';
import type { Fees } from './claim-plan.ts';
import { type ChainRpc, Quantity, quantity, RpcRefusal } from './rpc.ts';

/** A fifth more gas than was estimated: the state may have moved by the time it is mined. What isn't used isn't paid. */
const GAS_MARGIN_PERCENT = 120n;
const MAX_GAS = 10_000_000n;

const FeeHistory = z.looseObject({
  baseFeePerGas: z.array(Quantity).min(1).max(16),
  reward: z.array(z.array(Quantity).length(1)).max(16).optional(),
});

/** What is asked of the chain to be done. */
export interface Call {
  /** Null: a contract is made. */
  to: Address | null;
  data: string;
  /** Base units of the native token. */
  value: bigint;
}

/** What gas costs now. The base fee may double before a transaction is mined and it still is. Source: EIP-1559. */
export async function gasPrice(rpc: ChainRpc): Promise<Pick<Fees, 'maxFeePerGas' | 'maxPriorityFeePerGas'>> {
  try {
    const history = await rpc.ask('eth_feeHistory', [quantity(4), 'latest', [50]], FeeHistory);
    const base = history.baseFeePerGas.at(-1) ?? 0n;
    const rewards = (history.reward ?? []).map(([reward]) => reward ?? 0n).sort((a, b) => (a < b ? -1 : 1));
    const tip = rewards[Math.floor(rewards.length / 2)] ?? 0n;
    const priority = tip > 0n ? tip : 1n;
    return { maxFeePerGas: base * 2n + priority, maxPriorityFeePerGas: priority };
  } catch (thrown) {
    // A chain that knows no EIP-1559 fees has a price.
    if (!(thrown instanceof RpcRefusal)) throw thrown;
    const price = await rpc.ask('eth_gasPrice', [], Quantity);
    return { maxFeePerGas: price, maxPriorityFeePerGas: price };
  }
}

/** Gas and fees of a call. @throws RpcRefusal where it would be refused; `data` then says why */
export async function estimate(rpc: ChainRpc, from: Address, { to, data, value }: Call): Promise<Fees> {
  const [gas, price] = await Promise.all([
    rpc.ask('eth_estimateGas', [{ from, ...(to === null ? {} : { to }), data, value: quantity(value) }], Quantity),
    gasPrice(rpc),
  ]);
  const gasLimit = (gas * GAS_MARGIN_PERCENT) / 100n;
  if (gasLimit > MAX_GAS) throw new RpcRefusal(`it would take ${gasLimit} gas`, null);
  return { gasLimit, ...price };
}
