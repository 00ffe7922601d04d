// Apart from voucher.ts, so that what only reads vouchers (the screen) doesn't carry ethers.
import { AbiCoder, keccak256, recoverAddress, type TypedDataDomain, TypedDataEncoder, type TypedDataField } from 'ethers';
import type { Bytes32 } from './digest.ts';
import type { Address, Signature } from './receipt.ts';
import type { EscrowDomain, Voucher } from './voucher.ts';

/** EIP-712 struct type, as the contract has it. */
export const VOUCHER_TYPES: Record<string, TypedDataField[]> = {
  Voucher: [
    { name: 'payer', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'payee', type: 'address' },
    { name: 'asset', type: 'address' },
    { name: 'epoch', type: 'uint64' },
    { name: 'previousVoucher', type: 'bytes32' },
    { name: 'cumulativeAmount', type: 'uint256' },
    { name: 'receiptsRoot', type: 'bytes32' },
    { name: 'receiptCount', type: 'uint64' },
  ],
};

const encoder = TypedDataEncoder.from(VOUCHER_TYPES);

export function voucherDomain({ chainId, contract }: EscrowDomain): TypedDataDomain {
  return { name: 'Hearthlend Escrow', version: '1', chainId, verifyingContract: contract };
}

/** The struct hash, by which the next voucher names this one. */
export function hashVoucher(voucher: Voucher): Bytes32 {
  return encoder.hashStruct('Voucher', voucher);
}

/** The digest that the payer signs. */
export function voucherDigest(domain: EscrowDomain, voucher: Voucher): Bytes32 {
  return TypedDataEncoder.hash(voucherDomain(domain), VOUCHER_TYPES, voucher);
}

/** A channel as the contract computes it. */
export function channelOf(
  domain: EscrowDomain,
  { payer, worker, payee, asset }: Pick<Voucher, 'payer' | 'worker' | 'payee' | 'asset'>,
): Bytes32 {
  const separator = TypedDataEncoder.hashDomain(voucherDomain(domain));
  const types = ['address', 'address', 'address', 'address', 'bytes32'];
  return keccak256(AbiCoder.defaultAbiCoder().encode(types, [payer, worker, payee, asset, separator]));
}

/** Who signed a voucher; null where the signature is nobody's. Whether that one may is the contract's to say: the payer always may. */
export function voucherSigner(domain: EscrowDomain, voucher: Voucher, signature: Signature): Address | null {
  try {
    return recoverAddress(voucherDigest(domain, voucher), signature);
  } catch {
    return null;
  }
}
