import { closeSync, mkdtempSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { connectReader, connectWriter } from '../../../core/ledger/connect.ts';
import { databaseVersion, MIGRATIONS, type Migration, migrate } from '../../../core/ledger/migrate.ts';

const first: Migration = { version: 1, up: 'CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)' };
const second: Migration = { version: 2, up: 'CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b SELECT x + 1 FROM a' };
const failing: Migration = { version: 2, up: 'CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1)' };

const file = () => join(mkdtempSync(join(tmpdir(), 'migrate-')), 'ledger.db');

test('steps are taken in order, and only those that are missing', () => {
  const db = new Database(':memory:');
  migrate(db, '', [first]);
  db.exec('UPDATE a SET x = 5');
  migrate(db, '', [first, second]);
  migrate(db, '', [first, second]);
  expect(db.prepare('SELECT x FROM b').pluck().all()).toEqual([6]);
  expect(databaseVersion(db, '', 2)).toBe(2);
  db.close();
});

test('a step that fails leaves the database in the form before it', () => {
  const db = new Database(':memory:');
  migrate(db, '', [first]);
  expect(() => migrate(db, '', [first, failing])).toThrow('nowhere');
  expect(databaseVersion(db, '', 2)).toBe(1);
  expect(() => db.exec('SELECT * FROM b')).toThrow('no such table');
  migrate(db, '', [first, second]);
  expect(databaseVersion(db, '', 2)).toBe(2);
  db.close();
});

test('a database from a newer version is refused by name and not touched', () => {
  const path = file();
  connectWriter(path).close();
  const db = new Database(path);
  db.pragma('user_version = 9');
  db.close();
  const before = readFileSync(path);
  const { mtimeMs } = statSync(path);
  const newer = expect.objectContaining({ code: 'DATABASE_NEWER', params: { path, found: 9, known: MIGRATIONS.length } });
  expect(() => connectWriter(path)).toThrow(newer);
  expect(() => connectReader(path)).toThrow(newer);
  expect(readFileSync(path).equals(before)).toBe(true);
  expect(statSync(path).mtimeMs).toBe(mtimeMs);
});

test("another program's database, a text file and a damaged header are refused as damaged", () => {
  const corrupt = expect.objectContaining({ code: 'DATABASE_CORRUPT' });
  const other = file();
  const db = new Database(other);
  db.exec('CREATE TABLE notes (text TEXT)');
  db.close();
  expect(() => connectWriter(other)).toThrow(corrupt);
  const text = file();
  writeFileSync(text, 'just a letter to somebody, which is no database at all'.repeat(50));
  expect(() => connectWriter(text)).toThrow(corrupt);
  const header = file();
  connectWriter(header).close();
  const descriptor = openSync(header, 'r+');
  writeSync(descriptor, Buffer.alloc(100, 7), 0, 100, 0);
  closeSync(descriptor);
  expect(() => connectWriter(header)).toThrow(corrupt);
});

test('the file is readable for its user alone', () => {
  const path = file();
  const db = connectWriter(path);
  db.exec(
    "INSERT INTO entries VALUES (1, 0, 'agent.stopped', '{}', replace(hex(zeroblob(32)), '00', '00'), replace(hex(zeroblob(32)), '00', '11'))",
  );
  for (const name of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(name).mode & 0o777, name).toBe(0o600);
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
  expect(db.pragma('foreign_keys', { simple: true })).toBe(1);
  db.close();
});

test('a file that can not be opened says so', () => {
  expect(() => connectReader(file())).toThrow(expect.objectContaining({ code: 'DATABASE_UNAVAILABLE' }));
  expect(() => connectWriter(join(file(), 'deeper', 'ledger.db'))).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE' }));
});
