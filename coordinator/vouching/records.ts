import type { Address, WorkReceipt } from '../../core/contract/receipt.ts';
import type { OfferedVoucher, Voucher } from '../../core/contract/voucher.ts';

export interface VouchingReads {
  /** Workers with receipts that both sides have signed for and no voucher covers yet. */
  workersToVouch(): Promise<Address[]>;
  /** The oldest of those receipts, in sequence. */
  unvouched(worker: Address, limit: number): Promise<WorkReceipt[]>;
  /** The voucher signed last for a channel of this network. */
  latestVoucher(worker: Address, payee: Address, asset: Address): Promise<Voucher | null>;
  /** A worker's vouchers for one payee that cover receipts after `last`, oldest first. */
  vouchersAfter(worker: Address, payee: Address, last: number, limit: number): Promise<OfferedVoucher[]>;
  /** What is promised in each channel since the beginning, in base units of a token. */
  promises(): Promise<Array<{ worker: Address; payee: Address; token: Address; amount: bigint }>>;
}

export interface VouchingChanges {
  /** Records an epoch of a worker, unless another coordinator has covered these receipts: then none of these vouchers counts. */
  vouch(worker: Address, epoch: { first: number; last: number }, vouchers: OfferedVoucher[], at: number): boolean;
}
