import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { copyOf, type Ended, type Line, run, runForPeople, START, temporaryFolder } from './program.ts';

/** Data folders that the program itself left: after two runs, and as it was after the first of them. */
let whole = '';
let earlier = '';
let entries = 0;
let earlierEntries = 0;

beforeAll(async () => {
  whole = temporaryFolder('whole');
  expect((await run(whole, ...START, '--shards', '4')).code).toBe(0);
  earlierEntries = Number((await run(whole, 'ledger', 'verify')).last.entries);
  earlier = copyOf(whole);
  expect((await run(whole, ...START, '--shards', '3')).code).toBe(0);
  const { last } = await run(whole, 'ledger', 'verify');
  expect(last).toMatchObject({ ok: true, receipts: 7 });
  entries = Number(last.entries);
});

/** A copy of the data folder whose ledger was changed by hand: guards taken away, and put back as if nothing had been. */
function tampered(change: (db: Database.Database) => void): string {
  const dataDir = copyOf(whole);
  const db = new Database(join(dataDir, 'ledger.db'));
  db.pragma('foreign_keys = OFF');
  const guards = db.prepare<[], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
  for (const { name } of guards) db.exec(`DROP TRIGGER ${name}`);
  change(db);
  for (const { sql } of guards) db.exec(sql);
  db.close();
  return dataDir;
}

/** What `ledger verify --json` says of a ledger that must not be whole: `CODE place`. */
async function problems(dataDir: string): Promise<string[]> {
  const verified = await run(dataDir, 'ledger', 'verify');
  expect(verified).toMatchObject({ code: 1, stderr: '', lines: [{ ok: false }] });
  const found = verified.last.problems as { code: string; sequence: number | null; detail: string }[];
  for (const { detail } of found) expect(detail).not.toBe('');
  return found.map(({ code, sequence }) => `${code} ${sequence}`);
}

/** `start` takes no work on this folder, says why and what to do, and leaves every byte of the ledger as it is. */
async function refuses(dataDir: string): Promise<void> {
  const ledger = () => ['ledger.db', 'ledger.head', 'identity.json'].map((name) => readFileSync(join(dataDir, name)));
  const before = ledger();
  const started = await run(dataDir, ...START, '--shards', '1');
  expect(started.code).toBe(1);
  expect(started.lines).toEqual([
    {
      event: 'error',
      code: 'LEDGER_BROKEN',
      message: expect.stringContaining('not whole'),
      next: expect.stringContaining('ledger verify'),
    },
  ]);
  const told: Ended = await runForPeople(dataDir, ...START, '--shards', '1');
  expect(told).toMatchObject({ code: 1, stdout: '' });
  expect(told.stderr).toMatch(/The ledger is not whole.*\n.*ledger verify.*\(LEDGER_BROKEN\)\n$/s);
  expect(ledger()).toEqual(before);
}

test.each(['body', 'hash', 'previousHash', 'at', 'kind'])('one byte changed in the %s of any entry is found and named', async (column) => {
  const arbitrary = fc.tuple(fc.integer({ min: 1, max: entries }), fc.nat(), fc.integer({ min: 1, max: 127 }));
  for (const [sequence, place, xor] of fc.sample(arbitrary, 2)) {
    const dataDir = tampered((db) => {
      const stored = db.prepare<[number], Buffer>(`SELECT CAST(${column} AS BLOB) FROM entries WHERE sequence = ?`).pluck().get(sequence);
      const bytes = Buffer.from(stored ?? '');
      const at = place % bytes.length;
      // A time is digits: any other one of them.
      if (column === 'at') bytes[at] = 0x30 + (((bytes[at] ?? 0) - 0x30 + (xor % 9) + 1) % 10);
      else bytes[at] = (bytes[at] ?? 0) ^ xor;
      const type = column === 'at' ? 'INTEGER' : 'TEXT';
      db.prepare(`UPDATE entries SET ${column} = CAST(CAST(? AS TEXT) AS ${type}) WHERE sequence = ?`).run(bytes, sequence);
    });
    expect(await problems(dataDir), `byte ${place} of entry ${sequence} xor ${xor}`).toContain(`ENTRY_CHANGED ${sequence}`);
  }
});

test('an entry removed is found and named', async () => {
  const dataDir = tampered((db) => db.exec('DELETE FROM entries WHERE sequence = 17'));
  expect(await problems(dataDir)).toContain('ENTRY_MISSING 17');
});

test('the tail of the entries cut off is found and named, and no work is taken', async () => {
  const dataDir = tampered((db) => db.exec(`DELETE FROM entries WHERE sequence > ${entries - 5}`));
  expect(await problems(dataDir)).toContain(`TAIL_MISSING ${entries - 4}`);
  await refuses(dataDir);
});

test('the tail cut off together with everything derived from it is found and named, and no work is taken', async () => {
  // What the ledger was after the first run is what is left of it when the second one's tail is cut off everywhere.
  const dataDir = copyOf(whole);
  cpSync(join(earlier, 'ledger.db'), join(dataDir, 'ledger.db'));
  expect(await problems(dataDir)).toEqual([`TAIL_MISSING ${earlierEntries + 1}`]);
  await refuses(dataDir);
  // With the whole file back in its place, work goes on where it was.
  cpSync(join(whole, 'ledger.db'), join(dataDir, 'ledger.db'));
  expect((await run(dataDir, ...START, '--shards', '1')).last).toMatchObject({ accepted: 1 });
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 8 });
});

test('an older copy of the ledger together with its signed end is whole by itself, but disagrees with the network, so no work is taken', async () => {
  const dataDir = copyOf(whole);
  for (const name of ['ledger.db', 'ledger.head']) cpSync(join(earlier, name), join(dataDir, name));
  const started = await run(dataDir, ...START, '--shards', '1');
  expect(started).toMatchObject({ code: 1, last: { event: 'error', code: 'RECEIPT_INVALID', next: expect.stringMatching(/./) } });
  expect(started.lines.filter(({ event }) => event === 'accepted')).toEqual([]);
  // Nothing was made up: with the right files back, everything is as it was.
  for (const name of ['ledger.db', 'ledger.head']) cpSync(join(whole, name), join(dataDir, name));
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 7 });
  expect((await run(dataDir, ...START, '--shards', '1')).last).toMatchObject({ accepted: 1 });
});

test.each([
  ["UPDATE earned SET acceptedShards = acceptedShards + 1 WHERE part = 'network' AND slot = (SELECT MAX(slot) FROM earned)", 'earned'],
  ["UPDATE attempts SET state = 'rejected' WHERE receiptSequence = 2", 'attempts'],
  ['UPDATE shares SET receipts = receipts + 1', 'shares'],
])('a derived row changed is found, and named with its entry: %s', async (sql, table) => {
  const dataDir = tampered((db) => db.exec(sql));
  const { last }: { last: Line } = await run(dataDir, 'ledger', 'verify');
  expect(last).toMatchObject({
    ok: false,
    problems: [{ code: 'DERIVED_CHANGED', sequence: expect.any(Number), detail: expect.stringContaining(table) }],
  });
});

test('people are told the problems one by one', async () => {
  const dataDir = tampered((db) => db.exec('UPDATE entries SET at = at + 1 WHERE sequence = 9'));
  const told = await runForPeople(dataDir, 'ledger', 'verify');
  expect(told.code).toBe(1);
  expect(told.stdout).toContain('ENTRY_CHANGED at entry 9: Entry 9 was changed');
});
