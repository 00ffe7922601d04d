import Database from 'better-sqlite3';
import { Wallet } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ProofBundle, verifyProof } from '../../../core/contract/proof.ts';
import { hashReceipt } from '../../../core/contract/receipt-hash.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN, type SignedVoucher, type Voucher } from '../../../core/contract/voucher.ts';
import { channelOf, VOUCHER_TYPES, voucherDomain } from '../../../core/contract/voucher-hash.ts';
import { vouchersFor } from '../../../core/contract/vouching.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import type { Ledger } from '../../../core/ledger/ledger.ts';
import { proveReceipt } from '../../../core/ledger/prove.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import { accepted, batched, DAY_MS, openScene, receiptFor, submittedShard, WORKER, workThrough } from './scene.ts';

const domain: EscrowDomain = { chainId: 31_337, contract: `0x${'ab'.repeat(20)}` };
const asset = assetOf(domain, NATIVE_TOKEN);
const payer = new Wallet(`0x${'07'.repeat(32)}`);
const NETWORK = 'local';

/** Shards `first` to `last`, accepted for money, and their batch signed. */
function earn(ledger: Ledger, first: number, last: number, unitPrice = '3'): void {
  for (let number = first; number <= last; number += 1) {
    const at = DAY_MS + number * 1000;
    ledger.record(submittedShard(number, at, { asset, origin: 'network', unitPrice }));
    ledger.record([accepted(receiptFor(ledger, number, { asset, unitPrice, amount: (BigInt(unitPrice) * 10n).toString() }), at + 10)]);
  }
  ledger.record([batched(ledger, first, last, DAY_MS + last * 1000 + 20)]);
}

function right(ledger: Ledger, first: number, last: number): Voucher {
  const receipts = ledger.receiptsOf(NETWORK, first, last).map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
  const [voucher] = vouchersFor({ domain, payer: payer.address, worker: WORKER.address }, receipts, (payee, token) => {
    const channel = channelOf(domain, { payer: payer.address, worker: WORKER.address, payee, asset: token });
    return ledger.promises.latest(channel)?.signed.voucher ?? null;
  });
  if (voucher === undefined) throw new Error('these receipts call for no voucher');
  return voucher;
}

async function signed(voucher: Voucher, key: Pick<Wallet, 'signTypedData'> = payer): Promise<SignedVoucher> {
  return { domain, voucher, signature: await key.signTypedData(voucherDomain(domain), VOUCHER_TYPES, voucher) };
}

function event(first: number, last: number, offered: SignedVoucher, signer = payer.address): LedgerEvent {
  return { kind: 'voucher', at: DAY_MS + last * 1000 + 30, network: NETWORK, first, last, signed: offered, signer };
}

const claim = (offered: SignedVoucher, amount: bigint, cumulative: bigint): LedgerEvent => ({
  kind: 'claim.paid',
  at: DAY_MS + 900_000,
  channel: channelOf(domain, offered.voucher),
  amount: amount.toString(),
  cumulative: cumulative.toString(),
  transactionHash: `0x${'cd'.repeat(32)}`,
  block: 12,
});

const numbers = (ledger: Ledger) => ledger.totals(DAY_MS, DAY_MS + 86_400_000).find((each) => each.asset === asset);

test('what is accepted is promised by a voucher and paid by a claim; shards say how far they got, and the ledger verifies', async () => {
  const { ledger, path } = openScene();
  earn(ledger, 1, 3);
  const first = await signed(right(ledger, 1, 3));
  ledger.record([event(1, 3, first)]);
  expect(numbers(ledger)).toMatchObject({ accepted: '90', promised: '90', paid: '0' });
  earn(ledger, 4, 5);
  const second = await signed(right(ledger, 4, 5));
  ledger.record([event(4, 5, second)]);
  ledger.record([claim(first, 90n, 90n)]);
  expect(numbers(ledger)).toMatchObject({ accepted: '150', promised: '150', paid: '90' });
  expect(ledger.networkTotals(NETWORK)).toMatchObject({ accepted: '150', promised: '150', paid: '90' });
  expect(ledger.recent(5).map(({ state }) => state)).toEqual(['vouched', 'vouched', 'settled', 'settled', 'settled']);
  ledger.record([claim(second, 60n, 150n)]);
  expect(numbers(ledger)).toMatchObject({ paid: '150' });
  ledger.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
  // Derived from the chain, and held against it.
  const db = new Database(path);
  db.exec("UPDATE earned SET paid = '151' WHERE part = 'all' AND paid = '150'");
  db.close();
  expect(await verifyLedger({ path })).toMatchObject({ ok: false, problems: [{ code: 'DERIVED_CHANGED' }] });
});

test('a voucher that says too little is taken for what it says, with what is missing; any other fault is refused and changes nothing', async () => {
  const { ledger } = openScene();
  earn(ledger, 1, 3);
  const voucher = right(ledger, 1, 3);
  const refuses = async (change: Partial<Voucher>, first = 1, last = 3, key: Pick<Wallet, 'signTypedData'> = payer) => {
    const offered = await signed({ ...voucher, ...change }, key);
    expect(() => ledger.record([event(first, last, offered)])).toThrow(/VOUCHER_INVALID/);
  };
  await refuses({ epoch: 2 });
  await refuses({ receiptCount: 2 });
  await refuses({ receiptsRoot: `0x${'00'.repeat(32)}` });
  await refuses({ previousVoucher: `0x${'11'.repeat(32)}` });
  await refuses({ payee: payer.address });
  await refuses({ worker: payer.address });
  await refuses({}, 1, 3, Wallet.createRandom());
  await refuses({}, 2, 3);
  await refuses({}, 1, 4);
  expect(ledger.totals(DAY_MS, DAY_MS + 1)[0]).toMatchObject({ promised: '0' });

  const short = await signed({ ...voucher, cumulativeAmount: '80' });
  expect(ledger.promises.check({ network: NETWORK, first: 1, last: 3, signed: short, signer: payer.address }).missing).toBe(10n);
  ledger.record([event(1, 3, short)]);
  expect(ledger.promises.latestOfAll()).toMatchObject([{ expected: '90', first: 1, last: 3 }]);
  // A second voucher for the same epoch, though it says more, is none that follows.
  expect(() => ledger.record([event(1, 3, { ...short })])).toThrow(/VOUCHER_INVALID/);
  earn(ledger, 4, 4);
  // One that takes back what was promised would put a worse one in the place of a better.
  const lower = await signed({ ...right(ledger, 4, 4), cumulativeAmount: '79' });
  expect(() => ledger.record([event(4, 4, lower)])).toThrow(/promises 79 where 80/);
  const next = await signed({ ...right(ledger, 4, 4), cumulativeAmount: '120' });
  ledger.record([event(4, 4, next)]);
  expect(ledger.promises.latestOfAll()).toMatchObject([{ expected: '120' }]);
  // No more can have been paid than was promised.
  expect(() => ledger.record([claim(next, 121n, 121n)])).toThrow(/VOUCHER_INVALID/);
  ledger.close();
});

test('a proof of a receipt holds by itself on any machine, and any change of it shows', async () => {
  const { ledger, path } = openScene();
  workThrough(ledger, 1, 2);
  ledger.record([batched(ledger, 1, 2, DAY_MS + 2500)]);
  earn(ledger, 3, 9);
  expect(() => proveReceipt(path, { network: null, worker: null }, 2)).toThrow(/SELF_ISSUED/);
  expect(() => proveReceipt(path, { network: null, worker: null }, 99)).toThrow(/RECEIPT_UNKNOWN/);
  expect(verifyProof(proveReceipt(path, { network: NETWORK, worker: null }, 5))).toMatchObject({ ok: true, channel: null });
  // Practice is passed over: the first voucher covers from receipt 1 on.
  const offered = await signed(right(ledger, 1, 9));
  ledger.record([event(1, 9, offered)]);
  const proof = proveReceipt(path, { network: null, worker: null }, 5);
  expect(verifyProof(proof)).toMatchObject({ ok: true, signedByPayer: true, channel: { chainId: 31_337, contract: domain.contract } });

  const changes: Array<(bundle: ProofBundle) => void> = [
    (bundle) => Object.assign(bundle.receipt, { amount: '31' }),
    (bundle) => Object.assign(bundle.receipt, { units: 11, amount: '33' }),
    (bundle) => Object.assign(bundle.receipt, { payee: payer.address }),
    (bundle) => Object.assign(bundle.receipt, { sequence: 4 }),
    (bundle) => Object.assign(bundle.batch, { coordinator: WORKER.address }),
    (bundle) => Object.assign(bundle.batch.signed.batch, { last: 99 }),
    (bundle) => void bundle.batch.path.pop(),
    (bundle) => void bundle.voucher?.path.pop(),
    (bundle) => Object.assign(bundle.voucher?.signed.voucher ?? {}, { cumulativeAmount: '9000' }),
    (bundle) => Object.assign(bundle.voucher ?? {}, { signer: WORKER.address }),
    (bundle) => Object.assign(bundle.voucher?.signed.domain ?? {}, { chainId: 1 }),
  ];
  for (const change of changes) {
    const changed = structuredClone(proof);
    change(changed);
    expect(verifyProof(changed).ok).toBe(false);
  }
  ledger.close();
});

test('over any history of vouchers and claims, what is promised and unpromised is what was accepted, and no more is paid than promised', async () => {
  // From the least unit over whole tokens of 18 decimals to where 15 shards of 10 units come near 2^255.
  const most = 2n ** 255n / 150n;
  const price = fc
    .oneof(fc.bigInt({ min: 1n, max: 3n }), fc.bigInt({ min: 10n ** 18n, max: 10n ** 30n }), fc.bigInt({ min: most - 9n, max: most }))
    .map(String);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ shards: fc.integer({ min: 1, max: 3 }), price, vouch: fc.boolean(), claimed: fc.bigInt({ min: 0n, max: 100n }) }),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
      async (steps) => {
        const { ledger } = openScene();
        let last = 0;
        let vouchedTo = 0;
        let acceptedSum = 0n;
        let promised = 0n;
        let paid = 0n;
        for (const each of steps) {
          earn(ledger, last + 1, last + each.shards, each.price);
          last += each.shards;
          acceptedSum += BigInt(each.price) * 10n * BigInt(each.shards);
          if (!each.vouch) continue;
          const offered = await signed(right(ledger, vouchedTo + 1, last));
          ledger.record([event(vouchedTo + 1, last, offered)]);
          vouchedTo = last;
          promised = BigInt(offered.voucher.cumulativeAmount);
          expect(promised).toBe(acceptedSum);
          // An escrow that is drained pays a part.
          const amount = ((promised - paid) * each.claimed) / 100n;
          expect(() => ledger.record([claim(offered, promised - paid + 1n, promised + 1n)])).toThrow(/VOUCHER_INVALID/);
          if (amount > 0n) ledger.record([claim(offered, amount, paid + amount)]);
          paid += amount;
          expect(paid <= promised).toBe(true);
        }
        const found = numbers(ledger);
        expect([found?.accepted, found?.promised, found?.paid]).toEqual([acceptedSum, promised, paid].map(String));
        const unpromised = ledger.receiptsOf(NETWORK, vouchedTo + 1, last).reduce((sum, { amount }) => sum + BigInt(amount), 0n);
        expect(promised + unpromised).toBe(acceptedSum);
        ledger.close();
      },
    ),
    { numRuns: 6 },
  );
});
