import type { SignedVoucher } from '../contract/voucher.ts';
import type { ChannelFunds } from './escrow.ts';

/** Fees of one transaction: at most `gasLimit` × `maxFeePerGas`, in base units of the chain's native token. */
export interface Fees {
  gasLimit: bigint;
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

/** What claiming one voucher would do. Amounts in base units of its asset. */
export interface ClaimPart {
  voucher: SignedVoucher;
  /** What arrives, and what stays owed since the escrow can't cover it. */
  pays: bigint;
  owed: bigint;
}

/** What a claim would do, before it is sent. `costs` in base units of the native token, at the most. */
export interface ClaimPlan {
  parts: ClaimPart[];
  fees: Fees;
  costs: bigint;
}

/** What a voucher would be paid just now: what exceeds the claims before, from its earmark and then the deposit. Pure. */
export function payableOf(voucher: SignedVoucher, { claimed, earmark, deposit }: ChannelFunds): { pays: bigint; owed: bigint } {
  const due = BigInt(voucher.voucher.cumulativeAmount) - claimed;
  if (due <= 0n) return { pays: 0n, owed: 0n };
  const there = earmark.amount + deposit.balance;
  const pays = due < there ? due : there;
  return { pays, owed: due - pays };
}

/** What secures a channel: what is set aside for it, less what is being taken back. The deposit secures nobody. */
export function securedOf({ earmark }: ChannelFunds): bigint {
  return earmark.amount - earmark.thawing;
}

export interface ClaimRules {
  /** The least (base units of the asset) that is worth a claim; by asset address, lower case. Anything where it says nothing. */
  least: ReadonlyMap<string, bigint>;
  /** For claims of the native token: fees may be at most this share of what arrives, in basis points. */
  maxFeeBasisPoints: bigint;
}

/**
 * Whether a claim is worth its fees by the user's rules. Pure. Fees and an ERC-20 have no common measure, so there the least amount alone decides.
 */
export function worthIt(plan: ClaimPlan, nativeAsset: string, rules: ClaimRules): 'yes' | 'nothing' | 'under-least' | 'fees-too-high' {
  const sums = new Map<string, bigint>();
  for (const { voucher, pays } of plan.parts) {
    const asset = voucher.voucher.asset.toLowerCase();
    sums.set(asset, (sums.get(asset) ?? 0n) + pays);
  }
  const paid = [...sums].filter(([, amount]) => amount > 0n);
  if (paid.length === 0) return 'nothing';
  const enough = paid.filter(([asset, amount]) => amount >= (rules.least.get(asset) ?? 0n));
  if (enough.length === 0) return 'under-least';
  const native = sums.get(nativeAsset) ?? 0n;
  const onlyNative = enough.every(([asset]) => asset === nativeAsset);
  return onlyNative && plan.costs * 10_000n > native * rules.maxFeeBasisPoints ? 'fees-too-high' : 'yes';
}
