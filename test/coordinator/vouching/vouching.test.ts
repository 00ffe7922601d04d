import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { computeAddress, SigningKey } from 'ethers';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Store } from '../../../coordinator/store.ts';
import { createVouching, dueOf, type Vouching } from '../../../coordinator/vouching/vouching.ts';
import { FIRST_PREVIOUS_HASH, type WorkReceipt } from '../../../core/contract/receipt.ts';
import { batchOf, hashReceipt } from '../../../core/contract/receipt-hash.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN } from '../../../core/contract/voucher.ts';
import { voucherSigner } from '../../../core/contract/voucher-hash.ts';
import { checkVoucher } from '../../../core/contract/vouching.ts';

const WORKER = `0x${'a1'.repeat(20)}`;
const PAYEE = `0x${'b2'.repeat(20)}`;
const OWNER = `0x${'c3'.repeat(20)}`;
const PAYER = `0x${'d4'.repeat(20)}`;
const domain: EscrowDomain = { chainId: 31_337, contract: `0x${'ee'.repeat(20)}` };
const asset = assetOf(domain, NATIVE_TOKEN);
const key = new SigningKey(`0x${'05'.repeat(32)}`);
const signer = { address: computeAddress(key), signDigest: (digest: string) => key.sign(digest).serialized };
const START = 1_800_000_000_000;

let dir: string;
let store: Store;
let db: Database.Database;
let now: number;
let told: string[];
const running: Vouching[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hearthlend-vouching-'));
  ({ store } = openSqliteStore(join(dir, 'coordinator.db'), 'studio'));
  db = new Database(join(dir, 'coordinator.db'));
  now = START;
  told = [];
});
afterEach(async () => {
  for (const vouching of running.splice(0)) vouching.stop();
  db.close();
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

const open = (holdBackMs = 0): Vouching => {
  const options = { domain, payer: PAYER, holdBackMs, epochMs: 60_000, clock: () => now };
  const vouching = createVouching(
    store,
    signer,
    options,
    () => undefined,
    (worker) => told.push(worker),
  );
  running.push(vouching);
  return vouching;
};

/** Receipts that were accepted and batched, and signed by the worker where `signed`. */
function accept(first: number, last: number, { signed = true, change = {} as Partial<WorkReceipt> } = {}): void {
  const receipts: WorkReceipt[] = [];
  for (let sequence = first; sequence <= last; sequence += 1) {
    const before = receipts.at(-1);
    const receipt: WorkReceipt = {
      ...{ network: 'studio', jobId: 'j', shardId: `s${sequence}`, attempt: 1, worker: WORKER, payee: PAYEE, furtherPayees: [] },
      ...{
        modelHash: '1'.repeat(64),
        inputHash: '2'.repeat(64),
        outputCommitment: '3'.repeat(64),
        units: 10,
        unitPrice: '7',
        amount: '70',
      },
      ...{ asset, time: Math.floor(now / 1000), sequence, previousHash: before === undefined ? FIRST_PREVIOUS_HASH : hashReceipt(before) },
      ...change,
    };
    receipts.push(receipt);
    db.prepare('INSERT INTO receipts (worker, sequence, shard_id, hash, receipt) VALUES (?, ?, ?, ?, ?)').run(
      WORKER,
      sequence,
      receipt.shardId,
      hashReceipt(receipt),
      JSON.stringify(receipt),
    );
  }
  db.prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)').run(
    WORKER,
    first,
    last,
    JSON.stringify(batchOf(receipts)),
    `0x${'00'.repeat(65)}`,
    signed ? `0x${'11'.repeat(65)}` : null,
  );
}

test('what both sides have signed is vouched for after a minute, each time for what came since, signed and recorded before it is told', async () => {
  const vouching = open();
  accept(1, 3);
  await vouching.tend();
  expect(told).toEqual([]);
  now += 61_000;
  await vouching.tend();
  expect(told).toEqual([WORKER]);
  accept(4, 4);
  accept(5, 6, { signed: false });
  now += 61_000;
  await vouching.tend();
  const offers = await store.vouchersAfter(WORKER, PAYEE, 0, 10);
  expect(offers.map(({ first, last, signed }) => [first, last, signed.voucher.cumulativeAmount])).toEqual([
    [1, 3, '210'],
    [4, 4, '280'],
  ]);
  const [one, two] = offers;
  if (one === undefined || two === undefined) throw new Error('no vouchers');
  expect(voucherSigner(domain, two.signed.voucher, two.signed.signature)).toBe(signer.address);
  const receipts = (await store.receiptsAfter(WORKER, 3, 1)).map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
  const expected = { domain, payer: PAYER, worker: WORKER, payee: PAYEE, asset: NATIVE_TOKEN, previous: one.signed.voucher };
  expect(checkVoucher(two.signed, { ...expected, signers: [signer.address], receipts })).toEqual([]);
  expect(await store.vouchersAfter(WORKER, PAYEE, 3, 10)).toEqual([two]);
  expect(await store.uncovered(asset)).toEqual([{ worker: WORKER, payee: PAYEE, amount: 140n }]);
  expect(await store.promises()).toEqual([{ worker: WORKER, payee: PAYEE, token: NATIVE_TOKEN, amount: 280n }]);
});

test('two coordinators that vouch at once give one voucher an epoch', async () => {
  const both = [open(), open()];
  accept(1, 3);
  now += 61_000;
  await Promise.all(both.map((vouching) => vouching.tend()));
  expect(told).toEqual([WORKER]);
  expect(await store.vouchersAfter(WORKER, PAYEE, 0, 10)).toHaveLength(1);
});

test('a share of the receipts goes to a channel of its own', async () => {
  accept(1, 2, { change: { furtherPayees: [{ payee: OWNER, shareBasisPoints: 1500 }] } });
  now += 61_000;
  await open().tend();
  const amounts = async (payee: string) =>
    (await store.vouchersAfter(WORKER, payee, 0, 10)).map(({ signed }) => signed.voucher.cumulativeAmount);
  expect([await amounts(PAYEE), await amounts(OWNER)]).toEqual([['120'], ['20']]);
});

test('nothing is due before its hold-back is over, and what is due is a beginning of what waits', () => {
  const receipt = fc.record({ time: fc.integer({ min: 0, max: 5000 }) });
  fc.assert(
    fc.property(fc.array(receipt, { maxLength: 20 }), fc.nat(3_000_000), fc.nat(3_000_000), (times, holdBackMs, now) => {
      const waiting = times.sort((a, b) => a.time - b.time) as WorkReceipt[];
      const due = dueOf(waiting, now, holdBackMs, 60_000, 8);
      expect(due).toEqual(waiting.slice(0, due.length));
      for (const { time } of due) expect(time * 1000 + holdBackMs <= now).toBe(true);
      // What waited a whole epoch too long is not left.
      const oldest = waiting[0];
      if (oldest !== undefined && oldest.time * 1000 + holdBackMs + 60_000 <= now) expect(due.length).toBeGreaterThan(0);
    }),
  );
});

test('who is caught loses what was held back of its pay once its suspension is over, unless that was lifted; what it had earned before and earns later is paid', async () => {
  const hour = 3_600_000;
  const offence = (number: number) =>
    store.recordAudit({
      ...{ shardId: `bad-${number}`, attempt: 1, worker: WORKER, at: now, outcome: 'bad' },
      ...{ means: 'reference', distance: null, detail: '' },
    });
  const amounts = async () =>
    (await store.vouchersAfter(WORKER, PAYEE, 0, 10)).map(({ first, last, signed }) => [first, last, signed.voucher.cumulativeAmount]);
  const vouching = open(2 * hour);
  accept(1, 2);
  now += 3 * hour;
  accept(3, 5);
  await offence(1);
  now += hour;
  await offence(2);
  await vouching.tend();
  expect(await amounts()).toEqual([[1, 2, '140']]);
  // Suspended for a day: neither paid nor lost.
  now += 3 * hour;
  await vouching.tend();
  expect(await amounts()).toEqual([[1, 2, '140']]);
  now += 24 * hour;
  await vouching.tend();
  accept(6, 6);
  now += 3 * hour;
  await vouching.tend();
  // It is told so: what it is promised for those receipts is nothing.
  expect(await amounts()).toEqual([
    [1, 2, '140'],
    [3, 5, '140'],
    [6, 6, '210'],
  ]);

  accept(7, 7);
  await offence(3);
  await store.liftSuspension(WORKER);
  now += 3 * hour;
  await vouching.tend();
  expect((await amounts()).at(-1)).toEqual([7, 7, '280']);
});
