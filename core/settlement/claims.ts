import type { TransactionRecord } from '../contract/chain.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { Address } from '../contract/receipt.ts';
import type { SignedVoucher } from '../contract/voucher.ts';
import { channelOf } from '../contract/voucher-hash.ts';
import { type ClaimPart, type ClaimPlan, payableOf } from './claim-plan.ts';
import { type ChannelFunds, channelFunds, claimData, refusalOf } from './escrow.ts';
import { estimate } from './fees.ts';
import { type ChainRpc, quantity } from './rpc.ts';
import type { Sender } from './sender.ts';

/** As many vouchers as one transaction claims: about 64,000 gas each. */
const MOST_AT_ONCE = 50;

/** What every channel has, read at one block. Vouchers of one chain and contract. */
async function fundsOf(rpc: ChainRpc, vouchers: readonly SignedVoucher[]): Promise<Array<{ voucher: SignedVoucher; funds: ChannelFunds }>> {
  const block = quantity(await rpc.head());
  return Promise.all(
    vouchers.map(async (voucher) => ({ voucher, funds: await channelFunds(rpc, voucher.domain, voucher.voucher, block) })),
  );
}

/**
 * What claiming these vouchers would cost and bring now: gas first. Those that bring nothing are left out; with none left it says why.
 * @throws CLAIM_NOTHING, CLAIM_ESCROW_EMPTY, CLAIM_VOUCHER_REFUSED, CHAIN_*
 */
export async function planClaim(rpc: ChainRpc, from: Address, vouchers: readonly SignedVoucher[]): Promise<ClaimPlan> {
  const looked = await fundsOf(rpc, vouchers.slice(0, MOST_AT_ONCE));
  const parts: ClaimPart[] = sharedOut(looked).filter(({ pays }) => pays > 0n);
  const [first] = looked;
  if (first === undefined) throw new HearthlendError('CLAIM_NOTHING', { paid: '0' });
  if (parts.length === 0) {
    const owed = looked.reduce((sum, { voucher, funds }) => sum + payableOf(voucher, funds).owed, 0n);
    if (owed > 0n) throw new HearthlendError('CLAIM_ESCROW_EMPTY', { owed: owed.toString() });
    throw new HearthlendError('CLAIM_NOTHING', { paid: first.funds.claimed.toString() });
  }
  const call = { to: first.voucher.domain.contract, data: claimData(parts.map(({ voucher }) => voucher)), value: 0n };
  try {
    const fees = await estimate(rpc, from, call);
    return { parts, fees, costs: fees.gasLimit * fees.maxFeePerGas };
  } catch (thrown) {
    const reason = refusalOf(thrown);
    if (reason === null) throw thrown;
    throw new HearthlendError('CLAIM_VOUCHER_REFUSED', { reason }, { cause: thrown });
  }
}

/** What each is paid where they are claimed one after the other: vouchers of one payer share its deposit. */
function sharedOut(looked: ReadonlyArray<{ voucher: SignedVoucher; funds: ChannelFunds }>): ClaimPart[] {
  const left = new Map<string, bigint>();
  return looked.map(({ voucher, funds }) => {
    const key = `${voucher.voucher.payer} ${voucher.voucher.asset}`.toLowerCase();
    const balance = left.get(key) ?? funds.deposit.balance;
    const { pays, owed } = payableOf(voucher, { ...funds, deposit: { ...funds.deposit, balance } });
    const fromDeposit = pays > funds.earmark.amount ? pays - funds.earmark.amount : 0n;
    left.set(key, balance - fromDeposit);
    return { voucher, pays, owed };
  });
}

/** Sends a claim as it was planned, for at most a quarter more than the plan said, since prices move. @throws what `send` throws, CLAIM_VOUCHER_REFUSED */
export async function sendClaim(sender: Sender, plan: ClaimPlan): Promise<TransactionRecord> {
  const [first] = plan.parts;
  if (first === undefined) throw new HearthlendError('CLAIM_NOTHING', { paid: '0' });
  const { domain, voucher } = first.voucher;
  const call = { to: domain.contract, data: claimData(plan.parts.map((part) => part.voucher)), value: 0n };
  try {
    return await sender.send({ kind: 'claim', subject: channelOf(domain, voucher) }, call, { costs: (plan.costs * 5n) / 4n });
  } catch (thrown) {
    const reason = refusalOf(thrown);
    if (reason === null) throw thrown;
    throw new HearthlendError('CLAIM_VOUCHER_REFUSED', { reason }, { cause: thrown });
  }
}
