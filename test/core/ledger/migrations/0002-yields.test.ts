import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { migrate } from '../../../../core/ledger/migrate.ts';
import { entries } from '../../../../core/ledger/migrations/0001-entries.ts';
import { yields } from '../../../../core/ledger/migrations/0002-yields.ts';

test('a stretch of before stays as it was, with nothing given back', () => {
  const db = new Database(':memory:');
  migrate(db, '', [entries]);
  db.pragma('foreign_keys = ON');
  db.prepare("INSERT INTO entries VALUES (1, 5, 'agent.paused', '{}', ?, ?)").run('0'.repeat(64), '1'.repeat(64));
  db.prepare("INSERT INTO spans VALUES (1, 'aside', 5, NULL, '{}', 0, 1, 1)").run();
  migrate(db, '', [entries, yields]);
  expect(db.prepare('SELECT id, kind, fromAt, yieldMs, freed FROM spans').all()).toEqual([
    { id: 1, kind: 'aside', fromAt: 5, yieldMs: null, freed: null },
  ]);
  expect(db.pragma('user_version', { simple: true })).toBe(2);
  db.close();
});
