import type { Bytes32 } from './digest.ts';
import { merkleRoot } from './merkle.ts';
import type { Amount } from './money.ts';
import type { Address, WorkReceipt } from './receipt.ts';
import { type EscrowDomain, FIRST_PREVIOUS_VOUCHER, type SignedVoucher, tokenOf, type Voucher } from './voucher.ts';
import { hashVoucher, voucherSigner } from './voucher-hash.ts';

const WHOLE = 10_000n;

/** Who gets how much of a receipt's amount: further payees their share, rounded down, and the payee what remains. The parts make up the amount exactly. */
export function splitAmount(receipt: Pick<WorkReceipt, 'amount' | 'payee' | 'furtherPayees'>): Array<{ payee: Address; amount: bigint }> {
  const whole = BigInt(receipt.amount);
  const parts = new Map<string, bigint>();
  const give = (payee: Address, amount: bigint) => parts.set(payee.toLowerCase(), (parts.get(payee.toLowerCase()) ?? 0n) + amount);
  let rest = whole;
  for (const { payee, shareBasisPoints } of receipt.furtherPayees) {
    const share = (whole * BigInt(shareBasisPoints)) / WHOLE;
    give(payee, share);
    rest -= share;
  }
  give(receipt.payee, rest);
  return Array.from(parts, ([payee, amount]) => ({ payee, amount }));
}

/** A receipt as a voucher counts it: with its hash, which is on record and costs 0.2 ms to make anew. */
export interface CountedReceipt {
  receipt: Pick<WorkReceipt, 'amount' | 'payee' | 'furtherPayees' | 'asset' | 'worker'>;
  hash: Bytes32;
}

/** What a channel's next voucher has to say, by the receipts of its worker and asset that came since the one before, in their sequence. */
function epochOf(payee: Address, receipts: readonly CountedReceipt[]): { amount: bigint; root: Bytes32; count: number } | null {
  const named: Bytes32[] = [];
  let amount = 0n;
  for (const { receipt, hash } of receipts) {
    const part = splitAmount(receipt).find((each) => each.payee === payee.toLowerCase());
    if (part === undefined) continue;
    named.push(hash);
    amount += part.amount;
  }
  return named.length === 0 ? null : { amount, root: merkleRoot(named), count: named.length };
}

/**
 * The vouchers that receipts of one worker call for: one for each payee that they name. Receipts in another asset than the domain's chain knows
 * (practice credits) call for none. @param latest the voucher signed last for a payee and token, if any
 */
export function vouchersFor(
  { domain, payer, worker }: { domain: EscrowDomain; payer: Address; worker: Address },
  receipts: readonly CountedReceipt[],
  latest: (payee: Address, token: Address) => Voucher | null,
): Voucher[] {
  const assets = new Set(receipts.map(({ receipt }) => receipt.asset));
  return [...assets].flatMap((assetId) => {
    const asset = tokenOf(domain, assetId);
    if (asset === null) return [];
    const ofAsset = receipts.filter(({ receipt }) => receipt.asset === assetId);
    const payees = new Set(ofAsset.flatMap(({ receipt }) => splitAmount(receipt).map(({ payee }) => payee)));
    return [...payees].flatMap((payee): Voucher[] => {
      const epoch = epochOf(payee, ofAsset);
      if (epoch === null) return [];
      const before = latest(payee, asset);
      return [
        {
          ...{ payer, worker, payee, asset },
          epoch: (before?.epoch ?? 0) + 1,
          previousVoucher: before === null ? FIRST_PREVIOUS_VOUCHER : hashVoucher(before),
          cumulativeAmount: (BigInt(before?.cumulativeAmount ?? 0) + epoch.amount).toString(),
          receiptsRoot: epoch.root,
          receiptCount: epoch.count,
        },
      ];
    });
  });
}

/** In what a voucher differs from what is right. For `amount`, `by` says how much is missing (negative: too much), in base units. */
export type VoucherFault =
  | { field: 'payer' | 'worker' | 'payee' | 'asset' | 'domain' | 'epoch' | 'previousVoucher' | 'receipts' | 'signature' }
  | { field: 'amount'; by: bigint };

/**
 * Checks a voucher against what is on record here: every difference, none where it is right. `amount` alone is not a reason to throw a voucher away: one
 * that says too little is still worth what it says.
 * @param signers who may sign for the payer, beside the payer; what the contract said last
 */
export function checkVoucher(
  { domain, voucher, signature }: SignedVoucher,
  expected: {
    domain: EscrowDomain;
    payer: Address;
    worker: Address;
    payee: Address;
    asset: Address;
    previous: Voucher | null;
    signers: readonly Address[];
    receipts: readonly CountedReceipt[];
  },
): VoucherFault[] {
  const faults: VoucherFault[] = [];
  const same = (a: Address, b: Address) => a.toLowerCase() === b.toLowerCase();
  if (domain.chainId !== expected.domain.chainId || !same(domain.contract, expected.domain.contract)) faults.push({ field: 'domain' });
  for (const field of ['payer', 'worker', 'payee', 'asset'] as const) if (!same(voucher[field], expected[field])) faults.push({ field });
  const { previous } = expected;
  if (voucher.epoch !== (previous?.epoch ?? 0) + 1) faults.push({ field: 'epoch' });
  if (voucher.previousVoucher !== (previous === null ? FIRST_PREVIOUS_VOUCHER : hashVoucher(previous)))
    faults.push({ field: 'previousVoucher' });
  const epoch = epochOf(expected.payee, expected.receipts);
  if (epoch === null || voucher.receiptsRoot !== epoch.root || voucher.receiptCount !== epoch.count) faults.push({ field: 'receipts' });
  const by = BigInt(previous?.cumulativeAmount ?? 0) + (epoch?.amount ?? 0n) - BigInt(voucher.cumulativeAmount);
  if (by !== 0n) faults.push({ field: 'amount', by });
  const signer = voucherSigner(domain, voucher, signature);
  if (signer === null || ![voucher.payer, ...expected.signers].some((each) => same(each, signer))) faults.push({ field: 'signature' });
  return faults;
}

/** What a voucher still pays, where so much of its channel was claimed before, in base units. */
export function unclaimed(voucher: Voucher, claimed: Amount): bigint {
  const rest = BigInt(voucher.cumulativeAmount) - BigInt(claimed);
  return rest > 0n ? rest : 0n;
}
