import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { LedgerVerification } from '../../../core/contract/rpc.ts';
import { chainEnd } from '../../../core/ledger/append.ts';
import { hashEntry } from '../../../core/ledger/entry.ts';
import { headPath, writeHead } from '../../../core/ledger/head.ts';
import { openLedger } from '../../../core/ledger/ledger.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import {
  accepted,
  batched,
  DAY_MS,
  digestOf,
  leased,
  openScene,
  receiptFor,
  signer,
  started,
  step,
  submittedShard,
  WORKER,
  workThrough,
} from './scene.ts';

/** A closed, whole ledger of 130 receipts in three batches, and one as it was earlier. */
let whole: string;
let earlier: string;
let entries: number;

beforeAll(async () => {
  const { ledger, path, reopen } = openScene();
  ledger.record([started(DAY_MS)]);
  workThrough(ledger, 1, 64);
  ledger.record([batched(ledger, 1, 64, DAY_MS + 700_000)]);
  ledger.record([{ kind: 'agent.stopped', at: DAY_MS + 700_500 }]);
  ledger.close();
  earlier = `${path}.earlier`;
  copyFileSync(path, earlier);
  const again = reopen();
  again.record([started(DAY_MS + 800_000)]);
  again.record([{ kind: 'agent.paused', at: DAY_MS + 801_000, reason: { key: 'reason.paused-by-you', params: {} } }]);
  again.record([{ kind: 'agent.resumed', at: DAY_MS + 802_000 }]);
  workThrough(again, 65, 130, DAY_MS + 900_000);
  again.record([batched(again, 65, 128, DAY_MS + 2_000_000)]);
  again.record([batched(again, 129, 130, DAY_MS + 2_001_000)]);
  again.record([
    leased(131, DAY_MS + 2_002_000),
    step('shard.cancelled', 131, DAY_MS + 2_003_000),
    ...submittedShard(132, DAY_MS + 2_004_000),
  ]);
  again.close();
  whole = path;
  const found = await verifyLedger({ path, worker: WORKER.address });
  expect(found).toMatchObject({ ok: true, receipts: 130, batches: 3, problems: [] });
  entries = found.entries;
});

/** A copy of the whole ledger, changed behind its back; then what verification finds. */
async function verifyChanged(change: (db: Database.Database, path: string) => void, worker = WORKER.address): Promise<LedgerVerification> {
  const folder = mkdtempSync(join(tmpdir(), 'changed-'));
  const path = join(folder, 'ledger.db');
  try {
    copyFileSync(whole, path);
    copyFileSync(headPath(whole), headPath(path));
    const db = new Database(path);
    db.pragma('foreign_keys = OFF');
    db.pragma('ignore_check_constraints = ON');
    const triggers = db.prepare<[], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    change(db, path);
    for (const { sql } of triggers) db.exec(sql);
    db.close();
    return await verifyLedger({ path, worker });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const named = ({ problems }: LedgerVerification) => problems.map(({ code, sequence }) => `${code} ${sequence}`);

test('one byte changed in any column of any entry is found and named', async () => {
  const column = fc.constantFrom('at', 'kind', 'body', 'previousHash', 'hash');
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: entries }),
      column,
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      async (sequence, name, place, xor) => {
        const found = await verifyChanged((db) => {
          const value = db.prepare<[number], number | string>(`SELECT ${name} FROM entries WHERE sequence = ?`).pluck().get(sequence);
          if (typeof value === 'number') {
            db.prepare(`UPDATE entries SET ${name} = ? WHERE sequence = ?`).run(value ^ xor, sequence);
            return;
          }
          const bytes = Buffer.from(value ?? '');
          const index = place % bytes.length;
          bytes[index] = (bytes[index] ?? 0) ^ xor;
          db.prepare(`UPDATE entries SET ${name} = CAST(? AS TEXT) WHERE sequence = ?`).run(bytes, sequence);
        });
        expect(found.ok).toBe(false);
        expect(named(found)).toContain(`ENTRY_CHANGED ${sequence}`);
        expect(found.problems[0]?.detail).toContain(String(sequence));
      },
    ),
    { numRuns: 15 },
  );
});

test('one byte changed in the file itself, within an entry, is found and named', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: entries }), fc.nat(), fc.integer({ min: 1, max: 127 }), async (sequence, place, xor) => {
      const folder = mkdtempSync(join(tmpdir(), 'flipped-'));
      const path = join(folder, 'ledger.db');
      copyFileSync(whole, path);
      copyFileSync(headPath(whole), headPath(path));
      const db = new Database(path, { readonly: true });
      const row = db
        .prepare<[number], { body: string; hash: string; previousHash: string }>('SELECT * FROM entries WHERE sequence = ?')
        .get(sequence);
      db.close();
      if (row === undefined) throw new Error('no such entry');
      // A record's columns lie side by side. Rows that were moved leave copies in unused parts of pages: those are changed as well.
      const text = Buffer.from(row.body + row.previousHash + row.hash);
      const index = place % text.length;
      const bytes = readFileSync(path);
      let copies = 0;
      for (let start = bytes.indexOf(text); start >= 0; start = bytes.indexOf(text, start + 1)) {
        bytes[start + index] = (bytes[start + index] ?? 0) ^ xor;
        copies += 1;
      }
      writeFileSync(path, bytes);
      // A long body goes on in another page, so that it isn't found in one piece.
      if (copies > 0) expect(named(await verifyLedger({ path }))).toContain(`ENTRY_CHANGED ${sequence}`);
      rmSync(folder, { recursive: true });
    }),
    { numRuns: 15 },
  );
});

test('a change that leaves an entry its meaning is found too: a space, an escape, another number', async () => {
  const spaced = await verifyChanged((db) => db.exec("UPDATE entries SET body = ' ' || body WHERE sequence = 5"));
  expect(named(spaced)).toEqual(['ENTRY_CHANGED 5']);
  const escaped = await verifyChanged((db) =>
    db.exec("UPDATE entries SET body = replace(body, 'local', '\\u006cocal') WHERE sequence = 5"),
  );
  expect(named(escaped)).toEqual(['ENTRY_CHANGED 5']);
});

test('an entry removed is found and named, wherever it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: entries - 1 }), fc.integer({ min: 1, max: 3 }), async (sequence, count) => {
      const last = Math.min(sequence + count - 1, entries - 1);
      const found = await verifyChanged((db) => db.prepare('DELETE FROM entries WHERE sequence BETWEEN ? AND ?').run(sequence, last));
      expect(named(found)).toContain(`ENTRY_MISSING ${sequence}`);
    }),
    { numRuns: 8 },
  );
});

test('a sequence that was changed is found as missing at its place and changed at the other', async () => {
  const found = await verifyChanged((db) => db.exec('UPDATE entries SET sequence = 99999 WHERE sequence = 40'));
  expect(named(found)).toEqual(['ENTRY_MISSING 40', `ENTRY_MISSING ${entries + 1}`, 'ENTRY_CHANGED 99999', 'ENTRY_CHANGED 99999']);
});

test('the tail cut off is found and named: the entries alone', async () => {
  const found = await verifyChanged((db) => db.prepare('DELETE FROM entries WHERE sequence > ?').run(entries - 3));
  expect(named(found)[0]).toBe(`TAIL_MISSING ${entries - 2}`);
  expect(found.problems[0]?.detail).toBe(`The end was cut off: entries ${entries - 2} to ${entries} are missing.`);
});

test('the tail cut off is found and named: entries and everything derived from them, as a whole older file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'older-'));
  const path = join(folder, 'ledger.db');
  copyFileSync(earlier, path);
  copyFileSync(headPath(whole), headPath(path));
  const older = await verifyLedger({ path, worker: WORKER.address });
  expect(named(older)).toEqual([`TAIL_MISSING ${older.entries + 1}`]);
  expect(() => openLedger({ path, signer: WORKER })).toThrow(expect.objectContaining({ code: 'LEDGER_BROKEN' }));
  rmSync(path);
  expect(named(await verifyLedger({ path, worker: WORKER.address }))).toEqual(['TAIL_MISSING 1']);
});

test('without the signed end, or with one that another signed, the end can not be trusted', async () => {
  expect(named(await verifyChanged((_, path) => rmSync(headPath(path))))).toEqual([`HEAD_MISSING ${entries}`]);
  const changed = await verifyChanged((_, path) => {
    const head = JSON.parse(readFileSync(headPath(path), 'utf8'));
    writeFileSync(headPath(path), JSON.stringify({ ...head, sequence: head.sequence - 1 }));
  });
  expect(named(changed)).toEqual(['HEAD_INVALID null']);
  const stranger = await verifyChanged((db, path) => writeHead(path, chainEnd(db), signer(9)));
  expect(named(stranger)).toEqual(['HEAD_INVALID null']);
  expect(named(await verifyChanged((_, path) => writeFileSync(headPath(path), 'rubbish')))).toEqual(['HEAD_INVALID null']);
});

test('a chain that was rewritten with right hashes differs from the end that was signed', async () => {
  const found = await verifyChanged((db) => {
    let previous = '0'.repeat(64);
    const rows = db
      .prepare<[], { sequence: number; at: number; kind: string; body: string }>('SELECT * FROM entries ORDER BY sequence')
      .all();
    for (const row of rows) {
      const at = row.sequence === entries ? row.at + 1 : row.at;
      const hash = hashEntry(row.sequence, at, row.kind, row.body, previous);
      db.prepare('UPDATE entries SET at = ?, previousHash = ?, hash = ? WHERE sequence = ?').run(at, previous, hash, row.sequence);
      previous = hash;
    }
  });
  expect(named(found)).toEqual([`HEAD_DIFFERS ${entries}`, expect.stringMatching('DERIVED_CHANGED')]);
});

test('entries with right hashes that tell what can not be are named', async () => {
  const rewritten = (change: (body: Record<string, unknown>) => void, kind: string) =>
    verifyChanged((db) => {
      let previous = '0'.repeat(64);
      let changed = false;
      for (const row of db.prepare<[], { sequence: number; at: number; kind: string; body: string }>('SELECT * FROM entries').all()) {
        let { body } = row;
        if (row.kind === kind && !changed) {
          const parsed = JSON.parse(body);
          change(parsed);
          body = JSON.stringify(parsed);
          changed = true;
        }
        const hash = hashEntry(row.sequence, row.at, row.kind, body, previous);
        db.prepare('UPDATE entries SET body = ?, previousHash = ?, hash = ? WHERE sequence = ?').run(body, previous, hash, row.sequence);
        previous = hash;
      }
    });
  const amount = await rewritten((receipt) => Object.assign(receipt, { amount: '31' }), 'receipt');
  expect(named(amount)).toContain('RECEIPT_INVALID 7');
  const signature = await rewritten((batch) => Object.assign(batch, { workerSignature: `0x${'1'.repeat(130)}` }), 'batch');
  expect(named(signature)[0]).toMatch('BATCH_INVALID');
  const root = await rewritten((batch) => Object.assign(batch.batch as object, { merkleRoot: `0x${digestOf(1)}` }), 'batch');
  expect(named(root)[0]).toMatch('BATCH_INVALID');
  const units = await rewritten((body) => Object.assign(body, { units: -1 }), 'shard.computed');
  expect(named(units)[0]).toBe('ENTRY_CHANGED 5');
  const skipped = await rewritten((body) => Object.assign(body, { shardId: 's99' }), 'shard.fetched');
  expect(named(skipped)[0]).toBe('TRANSITION_ILLEGAL 3');
});

test('any derived value changed, removed or added is found and named with its entry', async () => {
  const changes: [string, string][] = [
    ["UPDATE attempts SET amount = '31' WHERE shardId = 's2'", 'attempts'],
    ["UPDATE attempts SET state = 'rejected' WHERE shardId = 's2'", 'attempts'],
    ["UPDATE attempts SET runMs = runMs + 0.001 WHERE shardId = 's2'", 'attempts'],
    ["DELETE FROM attempts WHERE shardId = 's2'", 'attempts'],
    [
      "INSERT INTO attempts SELECT network, 's0', attempt, state, jobId, kind, origin, model, inputs, asset, priceUnit, unitPrice, worker, payee, outputs, outputBytes, units, amount, runMs, audited, receiptSequence, code, reason, leasedAt, runningAt, computedAt, submittedAt, at, spanId, firstEntry, lastEntry, device, millijoules, energyEstimated FROM attempts WHERE shardId = 's2'",
      'attempts',
    ],
    ['UPDATE receipts SET body = replace(body, \'"30"\', \'"31"\') WHERE sequence = 2', 'receipts'],
    ['DELETE FROM receipts WHERE sequence = 130', 'receipts'],
    ['UPDATE batches SET coordinatorSignature = workerSignature', 'batches'],
    ["UPDATE earned SET accepted = '3901'", 'earned'],
    ['UPDATE earned SET acceptedShards = acceptedShards + 1', 'earned'],
    ["UPDATE shares SET amount = '3901'", 'shares'],
    ['UPDATE spans SET toAt = toAt + 1', 'spans'],
  ];
  for (const [sql, table] of changes) {
    const found = await verifyChanged((db) => db.exec(sql));
    expect(found.problems[0], sql).toMatchObject({
      code: 'DERIVED_CHANGED',
      sequence: expect.any(Number),
      detail: expect.stringContaining(table),
    });
  }
});

test('a trigger that was dropped, a table that was changed and a damaged page are found', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'schema-'));
  const path = join(folder, 'ledger.db');
  copyFileSync(whole, path);
  copyFileSync(headPath(whole), headPath(path));
  const db = new Database(path);
  db.exec('DROP TRIGGER entries_stay');
  db.close();
  expect(named(await verifyLedger({ path }))).toEqual(['SCHEMA_CHANGED null']);
  expect(named(await verifyChanged((raw) => raw.exec('ALTER TABLE shares ADD COLUMN extra TEXT')))).toEqual(['TABLE_CHANGED null']);
  expect(named(await verifyChanged((raw) => raw.exec('DROP TABLE earned')))).toEqual(['TABLE_CHANGED null']);
  const bytes = readFileSync(whole);
  bytes.fill(0xff, 4096 * 3, 4096 * 12);
  writeFileSync(path, bytes);
  const found = await verifyLedger({ path });
  expect(found.ok).toBe(false);
  expect(found.problems.map(({ code }) => code)).toContain('DATABASE_CORRUPT');
  writeFileSync(path, 'this is not a database, however long one reads it'.repeat(100));
  expect(named(await verifyLedger({ path }))[0]).toMatch('DATABASE_CORRUPT');
  writeFileSync(path, readFileSync(whole).subarray(0, 8192 + 100));
  expect((await verifyLedger({ path })).ok).toBe(false);
});

test('a folder in which nothing was recorded yet is whole', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'none-'));
  expect(await verifyLedger({ path: join(folder, 'ledger.db') })).toEqual({
    ok: true,
    entries: 0,
    receipts: 0,
    batches: 0,
    headHash: null,
    problems: [],
  });
  expect(existsSync(join(folder, 'ledger.db'))).toBe(false);
});

test('verification reads one moment of a ledger that is being written, and lets work go on meanwhile', async () => {
  const { ledger, path } = openScene();
  ledger.record([started(DAY_MS)]);
  workThrough(ledger, 1, 40);
  let recorded = 0;
  let done = false;
  const writing = (async () => {
    for (let number = 1000; !done; number += 1) {
      ledger.record(submittedShard(number, DAY_MS + number * 1000));
      ledger.record([accepted(receiptFor(ledger, number), DAY_MS + number * 1000)]);
      recorded += 1;
      if (recorded % 16 === 0)
        ledger.record([batched(ledger, ledger.lastBatched('local') + 1, ledger.receiptHead('local').sequence, DAY_MS)]);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (let round = 0; round < 3; round += 1) expect((await verifyLedger({ path, worker: WORKER.address })).problems).toEqual([]);
  done = true;
  await writing;
  expect(recorded).toBeGreaterThan(0);
  expect((await ledger.verify()).problems).toEqual([]);
  ledger.close();
});
