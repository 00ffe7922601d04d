import { Wallet } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Bytes32 } from '../../../core/contract/digest.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN, type SignedVoucher, tokenOf, type Voucher } from '../../../core/contract/voucher.ts';
import { hashVoucher, VOUCHER_TYPES, voucherDomain } from '../../../core/contract/voucher-hash.ts';
import { type CountedReceipt, checkVoucher, splitAmount, unclaimed, vouchersFor } from '../../../core/contract/vouching.ts';

const domain: EscrowDomain = { chainId: 31_337, contract: `0x${'ab'.repeat(20)}` };
const payer = new Wallet(`0x${'01'.repeat(32)}`);
const worker = `0x${'22'.repeat(20)}`;
const payees = ['33', '44', '55'].map((byte) => `0x${byte.repeat(20)}`);
const native = assetOf(domain, NATIVE_TOKEN);
const token = assetOf(domain, `0x${'66'.repeat(20)}`);

const address = fc.constantFrom(...payees);
const furtherPayees = fc
  .array(fc.record({ payee: address, shareBasisPoints: fc.integer({ min: 1, max: 3333 }) }), { maxLength: 3 })
  .filter((shares) => shares.reduce((sum, { shareBasisPoints }) => sum + shareBasisPoints, 0) <= 10_000);
const amount = fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 18n }), fc.bigInt({ min: 2n ** 249n, max: 2n ** 250n })).map(String);
const receipt = fc.record({ amount, payee: address, furtherPayees, asset: fc.constantFrom(native, token, 'hearth:local/credit:practice') });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes): Bytes32 => `0x${Buffer.from(bytes).toString('hex')}`);
const counted = fc.record({ receipt: receipt.map((each) => ({ ...each, worker })), hash });

test('the parts of an amount make up the whole to the last unit, whatever the shares', () => {
  fc.assert(
    fc.property(receipt, (each) => {
      const parts = splitAmount(each);
      expect(parts.reduce((sum, part) => sum + part.amount, 0n)).toBe(BigInt(each.amount));
      expect(parts.every((part) => part.amount >= 0n)).toBe(true);
    }),
  );
});

/** Vouchers over a history that comes in epochs; gives the last one of each channel. */
function vouchedFor(epochs: CountedReceipt[][]): Map<string, Voucher> {
  const latest = new Map<string, Voucher>();
  for (const receipts of epochs) {
    const made = vouchersFor({ domain, payer: payer.address, worker }, receipts, (payee, asset) => latest.get(`${payee}${asset}`) ?? null);
    for (const voucher of made) latest.set(`${voucher.payee}${voucher.asset}`, voucher);
  }
  return latest;
}

test('over any history, what is vouched for is what was accepted, and practice is never vouched for', () => {
  fc.assert(
    fc.property(fc.array(fc.array(counted, { maxLength: 8 }), { maxLength: 6 }), (epochs) => {
      const sums = new Map<string, bigint>();
      for (const { receipt: each } of epochs.flat()) {
        const asset = tokenOf(domain, each.asset);
        if (asset === null) continue;
        for (const part of splitAmount(each)) {
          const channel = `${part.payee}${asset}`;
          sums.set(channel, (sums.get(channel) ?? 0n) + part.amount);
        }
      }
      const vouched = vouchedFor(epochs);
      expect(new Map(Array.from(vouched, ([channel, voucher]) => [channel, BigInt(voucher.cumulativeAmount)]))).toEqual(sums);
      for (const voucher of vouched.values()) {
        expect(unclaimed(voucher, '0')).toBe(BigInt(voucher.cumulativeAmount));
        expect(unclaimed(voucher, voucher.cumulativeAmount)).toBe(0n);
      }
    }),
  );
});

const plain = (number: number, units: bigint): CountedReceipt => ({
  receipt: { amount: String(units), payee: payees[0] as string, furtherPayees: [], asset: native, worker },
  hash: `0x${number.toString(16).padStart(64, '0')}`,
});

function signed(voucher: Voucher, key: Pick<Wallet, 'signingKey'> & Pick<Wallet, 'signTypedData'> = payer): Promise<SignedVoucher> {
  return key.signTypedData(voucherDomain(domain), VOUCHER_TYPES, voucher).then((signature) => ({ domain, voucher, signature }));
}

test('a right voucher has no fault, and each wrong one is told by what is wrong with it, an amount by how much', async () => {
  const first = [plain(1, 500n), plain(2, 70n)];
  const second = [plain(3, 30n)];
  const make = (receipts: CountedReceipt[], before: Voucher | null) => {
    const [voucher] = vouchersFor({ domain, payer: payer.address, worker }, receipts, () => before);
    if (voucher === undefined) throw new Error('no voucher');
    return voucher;
  };
  const previous = make(first, null);
  const voucher = make(second, previous);
  const signer = Wallet.createRandom();
  const expected = {
    ...{ domain, payer: payer.address, worker, payee: payees[0] as string, asset: NATIVE_TOKEN },
    ...{ previous, signers: [] as string[], receipts: second },
  };
  expect(voucher.cumulativeAmount).toBe('600');
  expect(voucher.previousVoucher).toBe(hashVoucher(previous));
  expect(checkVoucher(await signed(voucher), expected)).toEqual([]);
  expect(checkVoucher(await signed(voucher, signer), expected)).toEqual([{ field: 'signature' }]);
  expect(checkVoucher(await signed(voucher, signer), { ...expected, signers: [signer.address] })).toEqual([]);
  const faultsOf = async (change: Partial<Voucher>) => checkVoucher(await signed({ ...voucher, ...change }), expected);
  expect(await faultsOf({ cumulativeAmount: '590' })).toEqual([{ field: 'amount', by: 10n }]);
  expect(await faultsOf({ cumulativeAmount: '601' })).toEqual([{ field: 'amount', by: -1n }]);
  expect(await faultsOf({ epoch: 1 })).toEqual([{ field: 'epoch' }]);
  expect(await faultsOf({ previousVoucher: `0x${'00'.repeat(32)}` })).toEqual([{ field: 'previousVoucher' }]);
  expect(await faultsOf({ receiptsRoot: `0x${'00'.repeat(32)}` })).toEqual([{ field: 'receipts' }]);
  expect(await faultsOf({ payee: payees[1] as string })).toEqual([{ field: 'payee' }]);
  expect(checkVoucher({ ...(await signed(voucher)), signature: `0x${'00'.repeat(65)}` }, expected)).toEqual([{ field: 'signature' }]);
  const elsewhere = { ...expected, domain: { ...domain, chainId: 1 } };
  expect(checkVoucher(await signed(voucher), elsewhere)).toEqual([{ field: 'domain' }]);
});
