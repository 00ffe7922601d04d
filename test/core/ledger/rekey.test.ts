import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { Wallet } from 'ethers';
import { expect, test } from 'vitest';
import { verifyProof } from '../../../core/contract/proof.ts';
import { batchDigest, batchOf, hashReceipt } from '../../../core/contract/receipt-hash.ts';
import type { Succession } from '../../../core/contract/succession.ts';
import { successionDigest } from '../../../core/contract/succession-hash.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN } from '../../../core/contract/voucher.ts';
import { VOUCHER_TYPES, voucherDomain } from '../../../core/contract/voucher-hash.ts';
import { vouchersFor } from '../../../core/contract/vouching.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import type { HeadSigner } from '../../../core/ledger/head.ts';
import { type Ledger, openLedger } from '../../../core/ledger/ledger.ts';
import { MIGRATIONS, migrate } from '../../../core/ledger/migrate.ts';
import { proveReceipt } from '../../../core/ledger/prove.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import { asBeforeEarned } from './older.ts';
import { accepted, COORDINATOR, DAY_MS, NETWORK, openScene, receiptFor, signer, started, submittedShard, WORKER } from './scene.ts';

const NEXT = signer(4);
const domain: EscrowDomain = { chainId: 31_337, contract: `0x${'ab'.repeat(20)}` };
const asset = assetOf(domain, NATIVE_TOKEN);
const payer = new Wallet(`0x${'07'.repeat(32)}`);

function word(from: HeadSigner, to: HeadSigner): Succession {
  const names = { from: from.address, to: to.address };
  return { ...names, signature: from.signDigest(successionDigest(names)) };
}

/** One shard accepted of whoever the ledger's worker is, its batch signed by both and a voucher for it. */
async function earn(ledger: Ledger, number: number, worker: HeadSigner): Promise<void> {
  const at = DAY_MS + number * 10_000;
  ledger.record(submittedShard(number, at, { asset, origin: 'network' }));
  ledger.record([accepted(receiptFor(ledger, number, { asset, worker: worker.address }), at + 10)]);
  const sequence = ledger.receiptHead(NETWORK).sequence;
  const receipts = ledger.receiptsOf(NETWORK, sequence, sequence);
  const batch = batchOf(receipts);
  const digest = batchDigest(batch);
  const signatures = { coordinatorSignature: COORDINATOR.signDigest(digest), workerSignature: worker.signDigest(digest) };
  const events: LedgerEvent[] = [{ kind: 'batch', at: at + 20, coordinator: COORDINATOR.address, batch, ...signatures }];
  const counted = receipts.map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
  const [voucher] = vouchersFor({ domain, payer: payer.address, worker: worker.address }, counted, () => null);
  if (voucher === undefined) throw new Error('these receipts call for no voucher');
  const signature = await payer.signTypedData(voucherDomain(domain), VOUCHER_TYPES, voucher);
  const range = { network: NETWORK, first: sequence, last: sequence, signer: payer.address };
  ledger.record([...events, { kind: 'voucher', at: at + 30, ...range, signed: { domain, voucher, signature } }]);
}

test('under a new key a machine counts its receipts from 1 again, and what the old one earned stays, verifies and is proven', async () => {
  const { ledger, path } = openScene();
  ledger.record([started(DAY_MS)]);
  await earn(ledger, 1, WORKER);
  expect(() => ledger.rekey(NEXT, [], DAY_MS + 15_000)).toThrow(/REKEY_INVALID/);
  expect(() => ledger.rekey(NEXT, [{ ...word(WORKER, NEXT), signature: word(NEXT, WORKER).signature }], DAY_MS)).toThrow(/REKEY_INVALID/);
  ledger.rekey(NEXT, [word(WORKER, NEXT)], DAY_MS + 15_000);
  await earn(ledger, 2, NEXT);
  expect(ledger.receiptHead(NETWORK).sequence).toBe(1);
  expect(ledger.receiptHead(NETWORK, WORKER.address).sequence).toBe(1);
  expect(ledger.workersOf(NETWORK).sort()).toEqual([WORKER, NEXT].map(({ address }) => address.toLowerCase()).sort());
  expect(ledger.networkTotals(NETWORK)).toMatchObject({ accepted: '60', promised: '60', acceptedShards: 2 });
  expect(ledger.acceptedOf(NETWORK, WORKER.address)).toBe(30n);
  expect(ledger.recent(2).map(({ state }) => state)).toEqual(['vouched', 'vouched']);
  expect([...ledger.export('json', null, null)].map((line) => JSON.parse(line).receiptHash).filter((hash) => hash === null)).toEqual([]);
  ledger.close();
  expect(await verifyLedger({ path, worker: NEXT.address })).toMatchObject({ ok: true, problems: [], receipts: 2, batches: 2 });

  expect(() => proveReceipt(path, { network: NETWORK, worker: null }, 1)).toThrow(/USAGE/);
  for (const worker of [WORKER.address, NEXT.address]) {
    const proof = proveReceipt(path, { network: null, worker }, 1);
    expect(proof.receipt.worker).toBe(worker);
    expect(verifyProof(proof)).toMatchObject({ ok: true, signedByPayer: true });
  }
  // Opened by the old key again, it is not whose record it is.
  openLedger({ path, signer: NEXT, successions: [word(WORKER, NEXT)] }).close();
  const entries = new Database(path, { readonly: true });
  expect(entries.prepare("SELECT count(*) FROM entries WHERE kind = 'identity.rekeyed'").pluck().get()).toBe(1);
  entries.close();
});

test('a crash between the new key and its record is made good at the next start, through several keys', async () => {
  const { ledger, path } = openScene();
  ledger.record([started(DAY_MS)]);
  await earn(ledger, 1, WORKER);
  ledger.close();
  const head = readFileSync(join(dirname(path), 'ledger.head'), 'utf8');
  const LAST = signer(5);
  const again = openLedger({ path, signer: LAST, successions: [word(WORKER, NEXT), word(NEXT, LAST)] });
  await earn(again, 2, LAST);
  again.close();
  // The chain came to the disk, and the head that the new key signs did not.
  writeFileSync(join(dirname(path), 'ledger.head'), head);
  expect(await verifyLedger({ path, worker: LAST.address })).toMatchObject({ ok: true });
  openLedger({ path, signer: LAST }).close();
  expect(JSON.parse(readFileSync(join(dirname(path), 'ledger.head'), 'utf8'))).toMatchObject({ worker: LAST.address });
});

test('a ledger of before workers had keys of their own is brought over whole', async () => {
  const { ledger, path } = openScene();
  await earn(ledger, 1, WORKER);
  ledger.close();
  // As the version before wrote it: the tables of before, with the rows that are there now.
  const db = new Database(path);
  db.pragma('foreign_keys = OFF');
  asBeforeEarned(db);
  const rows = (table: string) => db.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[];
  const [receipts, batches, vouchers] = [rows('receipts'), rows('batches'), rows('vouchers')];
  const old = new Database(':memory:');
  migrate(old, '', MIGRATIONS.slice(0, 3));
  for (const table of ['vouchers', 'batches', 'receipts']) {
    db.exec(`DROP TABLE ${table}`);
    db.exec(old.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').pluck().get(table) as string);
  }
  db.exec('CREATE INDEX vouchers_by_network ON vouchers (network, last)');
  const put = (table: string, row: Record<string, unknown>) => {
    const names = Object.keys(row).join(', ');
    db.prepare(`INSERT INTO ${table} (${names}) VALUES (${Object.keys(row).map((name) => `@${name}`)})`).run(row);
  };
  for (const row of receipts) put('receipts', { ...row, worker: WORKER.address });
  for (const row of batches) put('batches', { ...row, worker: WORKER.address });
  for (const { worker: _, ...row } of vouchers) put('vouchers', row);
  db.pragma('user_version = 3');
  db.close();
  old.close();

  const opened = openLedger({ path, signer: WORKER });
  expect(opened.networkTotals(NETWORK)).toMatchObject({ accepted: '30', promised: '30' });
  opened.record(submittedShard(2, DAY_MS + 20_000, { asset, origin: 'network' }));
  opened.record([accepted(receiptFor(opened, 2, { asset }), DAY_MS + 20_010)]);
  expect(opened.receiptHead(NETWORK).sequence).toBe(2);
  opened.close();
  expect(await verifyLedger({ path, worker: WORKER.address })).toMatchObject({ ok: true, problems: [] });
});
