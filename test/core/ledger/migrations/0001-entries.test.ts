import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { MIGRATIONS, migrate } from '../../../../core/ledger/migrate.ts';
import { entries } from '../../../../core/ledger/migrations/0001-entries.ts';

test('the first form holds the entries, what is derived from them, and the guards of the chain', () => {
  const db = new Database(':memory:');
  migrate(db, '', [entries]);
  const names = (type: string) =>
    db
      .prepare<[string], string>("SELECT name FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite%' ORDER BY name")
      .pluck()
      .all(type);
  expect(names('table')).toEqual(['attempts', 'batches', 'entries', 'receipts', 'slots', 'spans', 'totals']);
  expect(names('trigger')).toEqual(['entries_are_chained', 'entries_keep_their_content', 'entries_stay']);
  expect(db.pragma('user_version', { simple: true })).toBe(1);
  db.close();
});

test('the chain starts with sequence 1 after a hash of zeros', () => {
  const db = new Database(':memory:');
  migrate(db, '', [entries]);
  const insert = db.prepare('INSERT INTO entries VALUES (?, 0, ?, ?, ?, ?)');
  const [zeros, hash] = ['0'.repeat(64), '1'.repeat(64)];
  expect(() => insert.run(2, 'agent.stopped', '{}', zeros, hash)).toThrow('must follow');
  expect(() => insert.run(1, 'agent.stopped', '{}', hash, hash)).toThrow('must follow');
  expect(() => insert.run(1, 'agent.stopped', '{}', zeros, 'short')).toThrow('CHECK');
  insert.run(1, 'agent.stopped', '{}', zeros, hash);
  expect(() => insert.run(2, 'agent.stopped', '{}', zeros, hash)).toThrow('must follow');
  insert.run(2, 'agent.stopped', '{}', hash, '2'.repeat(64));
  db.close();
});

test('the queries that run at every change use an index', () => {
  const db = new Database(':memory:');
  migrate(db, '');
  const plan = (sql: string) =>
    (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as Array<{ detail: string }>).map(({ detail }) => detail).join('; ');
  const open = "state IN ('leased', 'fetched', 'running', 'computed', 'submitted', 'disputed')";
  expect(plan(`SELECT * FROM attempts WHERE ${open} ORDER BY firstEntry`)).toMatch(/^SCAN attempts USING INDEX attempts_unfinished$/);
  expect(plan(`SELECT asset FROM attempts WHERE ${open} AND state IN ('computed', 'submitted', 'disputed')`)).toContain(
    'attempts_unfinished',
  );
  expect(plan('SELECT * FROM attempts ORDER BY lastEntry DESC LIMIT 5')).toMatch(/^SCAN attempts USING INDEX attempts_by_last_entry$/);
  expect(plan('SELECT * FROM spans WHERE sealed = 0 ORDER BY id DESC LIMIT 1')).toContain('spans_unsealed');
  expect(plan('SELECT * FROM spans WHERE toAt IS NULL')).toContain('spans_by_end');
  expect(plan("SELECT * FROM spans WHERE kind = 'aside' ORDER BY id DESC LIMIT 1")).toContain('spans_aside');
  const last = "SELECT * FROM earned WHERE part = 'all' AND name = '' AND asset = 'a' AND slot < 5 ORDER BY slot DESC LIMIT 1";
  expect(plan(last)).toMatch(/^SEARCH earned USING PRIMARY KEY \(part=\? AND name=\? AND asset=\? AND slot<\?\)$/);
  expect(MIGRATIONS.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
  db.close();
});
