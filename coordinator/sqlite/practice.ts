import type { PracticeBook, PracticeLimits } from '../store.ts';
import type { OpenDatabase } from './open.ts';

export function sqlitePractice({ db, read, step }: OpenDatabase): PracticeBook {
  // Derived from what was settled, so that no counter can drift from it.
  const selectSpent = db.prepare<[number, number], { accepted: number; runMs: number }>(
    `SELECT COALESCE(SUM(a.state = 'accepted'), 0) AS accepted, COALESCE(SUM(a.run_ms), 0.0) AS runMs
      FROM attempts a JOIN shards s ON s.id = a.shard_id
      WHERE a.settled_at >= ? AND a.settled_at < ? AND s.origin = 'practice'`,
  );
  const selectOutstanding = db.prepare<[], { count: number }>(
    "SELECT COUNT(*) AS count FROM shards WHERE origin = 'practice' AND state IN ('leased', 'settling')",
  );
  const selectLimits = db.prepare<[string], PracticeLimits>('SELECT shards, ms FROM practice_days WHERE day = ?');
  const upsert = db.prepare(
    'INSERT INTO practice_days VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET shards = excluded.shards, ms = excluded.ms',
  );

  return {
    spent(from, to) {
      return read(() => selectSpent.get(from, to)) ?? { accepted: 0, runMs: 0 };
    },
    outstanding() {
      return read(() => selectOutstanding.get())?.count ?? 0;
    },
    limits(day) {
      return read(() => selectLimits.get(day));
    },
    setLimits(day, { shards, ms }) {
      step(() => upsert.run(day, shards, ms));
    },
  };
}
