import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate, openDatabase } from '../../coordinator/sqlite/open.ts';
import { openSqliteStore } from '../../coordinator/sqlite/store.ts';
import { describeStore } from './store-contract.ts';
import { Workbench } from './workbench.ts';

let dir: string;
let path: string;
const opened: Array<{ close(): void | Promise<void> }> = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hearthlend-store-'));
  path = join(dir, 'coordinator.db');
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  rmSync(dir, { recursive: true, force: true });
});

describeStore('the SQLite store', async () => {
  const both = openSqliteStore(path, 'local');
  opened.push(both.store);
  return both;
});

test('a database from a newer version is refused by name and not touched', async () => {
  await openSqliteStore(path, 'local').store.close();
  const db = new Database(path);
  db.pragma('user_version = 99');
  db.close();
  const before = readFileSync(path);
  expect(() => openSqliteStore(path, 'local')).toThrow(
    expect.objectContaining({ code: 'DATABASE_NEWER', params: { path, found: 99, known: expect.any(Number) } }),
  );
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a damaged database is refused by name', async () => {
  writeFileSync(path, 'this was never a database, however long one looks at it. '.repeat(20));
  expect(() => openSqliteStore(path, 'local')).toThrow(expect.objectContaining({ code: 'DATABASE_CORRUPT' }));
  rmSync(path);
  const { store } = openSqliteStore(path, 'local');
  await store.close();
  const bytes = readFileSync(path);
  bytes.fill(0xee, 4096, 4096 * 3);
  writeFileSync(path, bytes);
  expect(() => openSqliteStore(path, 'local')).toThrow(expect.objectContaining({ code: 'DATABASE_CORRUPT' }));
  truncateSync(path, 5000);
  expect(() => openSqliteStore(path, 'local')).toThrow(expect.objectContaining({ code: 'DATABASE_CORRUPT' }));
});

test('a database that can not be opened says so', () => {
  mkdirSync(path);
  expect(() => openSqliteStore(path, 'local')).toThrow(expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' }));
  expect(() => openSqliteStore(join(dir, 'nowhere/coordinator.db'), 'local')).toThrow(
    expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' }),
  );
});

test('a full disk is called one, and what was written before is whole', () => {
  const database = openDatabase(path);
  opened.push({ close: () => void database.db.close() });
  database.db.exec('CREATE TABLE filler (bytes BLOB)');
  const pages = database.db.pragma('page_count', { simple: true }) as number;
  database.db.pragma(`max_page_count = ${pages + 2}`);
  const fill = () => database.step(() => database.db.prepare('INSERT INTO filler VALUES (zeroblob(100000))').run());
  expect(fill).toThrow(expect.objectContaining({ code: 'DISK_FULL', params: { path } }));
  expect(database.db.pragma('integrity_check', { simple: true })).toBe('ok');
});

test('a migration that fails leaves the database as it was before it', () => {
  const db = new Database(path);
  opened.push({ close: () => void db.close() });
  expect(() => migrate(db, path, ['CREATE TABLE a (x)', 'CREATE TABLE b (x); CREATE TABLE a (y)'])).toThrow('already exists');
  expect(db.pragma('user_version', { simple: true })).toBe(1);
  expect(db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()).toEqual([{ name: 'a' }]);
  migrate(db, path, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)']);
  expect(db.pragma('user_version', { simple: true })).toBe(2);
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
});

test.skipIf(process.platform === 'win32')('a folder that can not be made is an error that names it', async () => {
  const bench = new Workbench();
  const file = join(dir, 'file');
  writeFileSync(file, '');
  chmodSync(file, 0o400);
  bench.dir = join(file, 'network');
  await expect(bench.open()).rejects.toMatchObject({ code: 'DATA_DIR_UNWRITABLE' });
  await bench.dispose();
});

test('changes that are asked for at one moment are made in their order, each by itself: one that fails takes none with it', async () => {
  const { store } = openSqliteStore(path, 'local');
  opened.push(store);
  const applied: string[] = [];
  store.onApplied(({ name, args }) => applied.push(`${name} ${args[0]}`));
  const digest = 'a'.repeat(64);
  const outcomes = await Promise.allSettled([
    store.hold('one', [digest]),
    store.hold('bad', [{} as unknown as string]),
    store.hold('two', [digest]),
    store.letGo('one'),
    store.letGo('two'),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  // The digest went with the last that held it.
  expect(outcomes.slice(3)).toMatchObject([{ value: [] }, { value: [digest] }]);
  expect(applied).toEqual(['hold one', 'hold two', 'letGo one', 'letGo two']);
  expect(await store.holders()).toEqual([]);
});
