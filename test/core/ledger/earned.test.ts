import Database from 'better-sqlite3';
import { Wallet } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashReceipt } from '../../../core/contract/receipt-hash.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN } from '../../../core/contract/voucher.ts';
import { channelOf, VOUCHER_TYPES, voucherDomain } from '../../../core/contract/voucher-hash.ts';
import { vouchersFor } from '../../../core/contract/vouching.ts';
import { Earned, type EarnedKey, SLOT_MS } from '../../../core/ledger/earned.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import { readIncomes } from '../../../core/ledger/incomes.ts';
import type { Ledger } from '../../../core/ledger/ledger.ts';
import { MIGRATIONS, migrate } from '../../../core/ledger/migrate.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import { asBeforeEarned } from './older.ts';
import {
  ASSET,
  accepted,
  batched,
  DAY_MS,
  digestOf,
  NETWORK,
  openScene,
  receiptFor,
  submittedShard,
  WORKER,
  workThrough,
} from './scene.ts';

const HOUR_MS = 4 * SLOT_MS;
const domain: EscrowDomain = { chainId: 31_337, contract: `0x${'ab'.repeat(20)}` };
const asset = assetOf(domain, NATIVE_TOKEN);
const payer = new Wallet(`0x${'07'.repeat(32)}`);
const all = (of: string): EarnedKey => ({ part: 'all', name: '', asset: of });

/** Shard `number`, computed on a device and accepted at a time. */
function earn(ledger: Ledger, number: number, at: number, device?: string, model = digestOf(7)): void {
  const events = submittedShard(number, at - 5000, { asset, origin: 'network', model });
  ledger.record(events.map((event) => (event.kind === 'shard.computed' && device !== undefined ? { ...event, device } : event)));
  ledger.record([accepted(receiptFor(ledger, number, { asset }), at)]);
}

const energy = (number: number, at: number, millijoules: number, estimated = false): LedgerEvent => ({
  kind: 'energy',
  at,
  runs: [{ network: NETWORK, shardId: `s${number}`, attempt: 1, millijoules, estimated }],
});

/** A voucher for receipts of this ledger, and a claim of all that it promises. */
async function promised(ledger: Ledger, first: number, last: number, at: number): Promise<LedgerEvent[]> {
  const counted = ledger.receiptsOf(NETWORK, first, last).map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
  const names = { payer: payer.address, worker: WORKER.address };
  const [voucher] = vouchersFor({ domain, ...names }, counted, () => null);
  if (voucher === undefined) throw new Error('these receipts call for no voucher');
  const signature = await payer.signTypedData(voucherDomain(domain), VOUCHER_TYPES, voucher);
  const amount = voucher.cumulativeAmount;
  return [
    { kind: 'voucher', at, network: NETWORK, first, last, signer: payer.address, signed: { domain, voucher, signature } },
    {
      ...{ kind: 'claim.paid', at: at + HOUR_MS, channel: channelOf(domain, voucher), amount, cumulative: amount },
      ...{ transactionHash: null, block: 5 },
    },
  ];
}

test('what was accepted, promised, paid and used is had by time, network, model and device, and the ledger verifies', async () => {
  const { ledger, path } = openScene();
  earn(ledger, 1, DAY_MS + HOUR_MS, 'cpu');
  earn(ledger, 2, DAY_MS + 3 * HOUR_MS, 'cpu', digestOf(8));
  earn(ledger, 3, DAY_MS + 3 * HOUR_MS + 10_000);
  ledger.record([energy(1, DAY_MS + HOUR_MS + 1000, 5000)]);
  ledger.record([energy(3, DAY_MS + 3 * HOUR_MS + 20_000, 700, true)]);
  ledger.record([batched(ledger, 1, 3, DAY_MS + 4 * HOUR_MS)]);
  for (const event of await promised(ledger, 1, 3, DAY_MS + 4 * HOUR_MS)) ledger.record([event]);
  const { earned } = ledger;
  const sums = { accepted: 30n, acceptedShards: 1, promised: 0n, paid: 0n, measured: 5000, estimated: 0, knownShards: 1 };
  expect(earned.between(all(asset), DAY_MS, DAY_MS + 2 * HOUR_MS)).toEqual(sums);
  expect(earned.between(all(asset), DAY_MS + 2 * HOUR_MS, DAY_MS + 4 * HOUR_MS)).toMatchObject({
    accepted: 60n,
    measured: 0,
    estimated: 700,
  });
  expect(earned.between(all(asset), DAY_MS + 4 * HOUR_MS, DAY_MS + 5 * HOUR_MS)).toMatchObject({ accepted: 0n, promised: 90n, paid: 0n });
  expect(earned.between({ part: 'network', name: NETWORK, asset }, DAY_MS, DAY_MS + 9 * HOUR_MS)).toMatchObject({
    promised: 90n,
    paid: 90n,
  });
  expect(earned.until({ part: 'device', name: 'cpu', asset }, DAY_MS + 9 * HOUR_MS)).toMatchObject({ acceptedShards: 2, measured: 5000 });
  expect(earned.until({ part: 'device', name: '', asset }, DAY_MS + 9 * HOUR_MS)).toMatchObject({ acceptedShards: 1, estimated: 700 });
  expect(earned.keys('model').map(({ name }) => name)).toEqual([digestOf(7), digestOf(8)]);
  expect([...earned.energies(all(asset), DAY_MS, DAY_MS + 9 * HOUR_MS)]).toEqual([
    { at: DAY_MS + HOUR_MS, millijoules: 5000 },
    { at: DAY_MS + 3 * HOUR_MS, millijoules: 700 },
  ]);
  expect(earned.since(all(asset))).toBe(DAY_MS + HOUR_MS);
  // It was told already; and what never ran took nothing.
  expect(() => ledger.record([energy(1, DAY_MS + 9 * HOUR_MS, 1)])).toThrow(/TRANSITION_ILLEGAL/);
  expect(() => ledger.record([energy(9, DAY_MS + 9 * HOUR_MS, 1)])).toThrow(/TRANSITION_ILLEGAL/);
  expect(JSON.parse([...ledger.export('json', null, null)][0] ?? '')).toMatchObject({
    device: 'cpu',
    millijoules: 5000,
    energyEstimated: false,
  });
  ledger.record(submittedShard(8, DAY_MS + 8 * HOUR_MS));
  ledger.record([accepted(receiptFor(ledger, 8), DAY_MS + 8 * HOUR_MS)]);
  // What came in, in the ledger's order, page after page; practice is none of it.
  const incomes = (after: number | null, fromMs: number | null = null) => [...readIncomes(path, { fromMs, toMs: null, after })];
  expect(incomes(null).map(({ kind, amount, shared, reference }) => [kind, amount, shared, reference.split(' ')[1]])).toEqual([
    ...[1, 2, 3].map((number) => ['receipt', '30', '0', `s${number}`]),
    ['claim', '90', '0', undefined],
  ]);
  expect(incomes(incomes(null)[1]?.entry ?? 0)).toEqual(incomes(null).slice(2));
  expect(incomes(null, DAY_MS + 2 * HOUR_MS)).toEqual(incomes(null).slice(1));
  ledger.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
  const db = new Database(path);
  db.exec("UPDATE earned SET measured = measured + 1 WHERE part = 'device' AND name = 'cpu'");
  db.close();
  const [problem] = (await verifyLedger({ path })).problems;
  expect(problem).toMatchObject({ code: 'DERIVED_CHANGED', detail: expect.stringContaining('earned') });
});

test('a ledger of before these sums were kept is read as it is and brought over whole, whatever its clock did', async () => {
  const { ledger, path, reopen } = openScene();
  earn(ledger, 1, DAY_MS + 5 * HOUR_MS);
  earn(ledger, 2, DAY_MS + HOUR_MS);
  earn(ledger, 3, DAY_MS + 6 * HOUR_MS);
  ledger.record([batched(ledger, 1, 3, DAY_MS + 7 * HOUR_MS)]);
  for (const event of await promised(ledger, 1, 3, DAY_MS + 7 * HOUR_MS)) ledger.record([event]);
  const before = ledger.totals(DAY_MS, DAY_MS + 24 * HOUR_MS);
  ledger.close();
  const db = new Database(path);
  asBeforeEarned(db);
  db.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
  const again = reopen();
  expect(again.totals(DAY_MS, DAY_MS + 24 * HOUR_MS)).toEqual(before);
  expect(before).toEqual([expect.objectContaining({ accepted: '90', promised: '90', paid: '90', acceptedToday: '90' })]);
  expect(again.earned.between(all(asset), DAY_MS, DAY_MS + 2 * HOUR_MS).accepted).toBe(30n);
  again.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
});

test('a transaction that comes to nothing leaves the sums as they were', async () => {
  const { ledger, path } = openScene();
  workThrough(ledger, 1, 1);
  ledger.record(submittedShard(2, DAY_MS + 20_000));
  const second = accepted(receiptFor(ledger, 2), DAY_MS + 30_000);
  expect(() => ledger.record([second, energy(9, DAY_MS + 30_000, 1)])).toThrow(/TRANSITION_ILLEGAL/);
  expect(ledger.acceptedCount()).toBe(1);
  ledger.record([second]);
  expect(ledger.earned.until(all(ASSET), DAY_MS + HOUR_MS).acceptedShards).toBe(2);
  ledger.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
});

test('whatever the order of times, what came between two of them is the sum of what was added there, near 2^255 as well', () => {
  const at = fc.integer({ min: 0, max: 60 }).map((slot) => DAY_MS + slot * SLOT_MS + 7);
  const step = fc.record({ at, amount: fc.bigInt({ min: 0n, max: 1n << 255n }), network: fc.constantFrom('a', 'b'), settle: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), at, at, (steps, one, other) => {
      const db = new Database(':memory:');
      migrate(db, '', MIGRATIONS);
      db.pragma('foreign_keys = OFF');
      const earned = new Earned(db);
      steps.forEach(({ at: when, amount, network, settle }, index) => {
        earned.add(asset, { network }, when, { accepted: amount, acceptedShards: 1 }, index + 1);
        if (settle) earned.settle();
      });
      earned.settle();
      const [from, to] = [Math.min(one, other), Math.max(one, other)].map((each) => Math.floor(each / SLOT_MS) * SLOT_MS) as [
        number,
        number,
      ];
      const within = steps.filter((each) => each.at >= from && each.at < to);
      const sum = (of: typeof steps) => of.reduce((total, { amount }) => total + amount, 0n);
      expect(earned.between(all(asset), from, to)).toMatchObject({ accepted: sum(within), acceptedShards: within.length });
      const a = within.filter(({ network }) => network === 'a');
      expect(earned.between({ part: 'network', name: 'a', asset }, from, to)).toMatchObject({ accepted: sum(a), acceptedShards: a.length });
      db.close();
    }),
    { numRuns: 60 },
  );
});
