import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Store } from '../../../coordinator/store.ts';
import { hashOf, jobOf, leaseOf, receiptFor, shardOf, submissionFor } from '../store-contract.ts';

const WORKERS = [`0x${'a'.repeat(40)}`, `0x${'b'.repeat(40)}`, `0x${'c'.repeat(40)}`] as const;
const JOBS = ['j1', 'j2'];
const SHARDS = JOBS.flatMap((job) => [`${job}.1`, `${job}.2`]);

type Act = (store: Store) => Promise<unknown>;

const worker = fc.constantFrom(...WORKERS);
/** An attempt by its distance from the last one; now and then one that is not there, or not there yet. */
const near = fc.record({ shardId: fc.constantFrom(...SHARDS), off: fc.constantFrom(0, 0, 0, 0, -1, -1, 1) });
type Near = typeof near extends fc.Arbitrary<infer T> ? T : never;
const keyOf = async (store: Store, { shardId, off }: Near) => ({ shardId, attempt: ((await store.shard(shardId))?.attempt ?? 0) + off });
const failure = { code: 'RUN_FAILED', params: {} };
const sequel = fc.constantFrom({ state: 'queued' as const }, { state: 'failed' as const, failure });
const lease = (shardId: string, attempt: number, by: string) => ({ ...leaseOf(shardId, attempt, by), costMs: 700 });

const adding: fc.Arbitrary<Act> = fc
  .tuple(fc.constantFrom(...JOBS), fc.constantFrom('one', 'two'), fc.constantFrom(1, 2))
  .map(([job, requester, models]): Act => {
    const shards = [1, 2].map((index) => {
      const record = shardOf(`${job}.${index}`, job, 5);
      record.shard.model = { digest: String(index % models).repeat(64), bytes: 1 };
      return record;
    });
    const terms = { requester, asset: 'hearth:local/credit:practice', unit: 'run', perUnit: '1', maxUnits: 2 } as const;
    return (store) => store.addJob({ ...jobOf(job, 5), shards: 2 }, shards, terms);
  });
const working: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(fc.array(near, { minLength: 1, maxLength: 3 }), worker).map(([keys, by]): Act => {
    return async (store) => {
      const found = await Promise.all(keys.map((each) => keyOf(store, each)));
      return store.lend(
        found.map(({ shardId, attempt }) => lease(shardId, attempt + 1, by)),
        60_000,
      );
    };
  }),
  fc.tuple(near, worker).map(([each, by]): Act => {
    return async (store) => {
      const { shardId, attempt } = await keyOf(store, each);
      return store.lendAgain(lease(shardId, attempt + 1, by));
    };
  }),
  near.map((each): Act => {
    return async (store) => {
      const { shardId, attempt } = await keyOf(store, each);
      return store.commit(submissionFor(shardId, attempt));
    };
  }),
  fc.tuple(near, sequel, fc.constantFrom('released', 'expired', 'rejected')).map(([each, next, how]): Act => {
    return async (store) => {
      const key = await keyOf(store, each);
      if (how === 'expired') return store.expire(key, 200, next, 10);
      if (how === 'rejected') return store.reject(key, { type: 'rejected', code: 'RESULT_MALFORMED', detail: '' }, failure, next, 10);
      return store.endAttempt(key, 'leased', { state: 'released', reason: 'paused', failure: null }, next, 10);
    };
  }),
  fc.tuple(near, worker).map(([each, by]): Act => {
    return async (store) => {
      const key = await keyOf(store, each);
      const holder = (await store.attempt(key))?.worker ?? by;
      const receipt = receiptFor(key.shardId, store.receiptHead(holder), holder);
      return store.accept(key, false, receipt, hashOf(key.shardId), 10);
    };
  }),
);
const ending: fc.Arbitrary<Act> = fc.oneof(
  fc.constantFrom(...JOBS).map(
    (job): Act =>
      (store) =>
        store.cancelJob(job, 10),
  ),
  fc.constant<Act>((store) => store.forgetBefore(11)),
);
/** Mostly work, and enough of it. */
const history = fc
  .tuple(adding, adding, fc.array(fc.oneof({ arbitrary: working, weight: 20 }, adding, ending), { minLength: 20, maxLength: 60 }))
  .map(([first, second, acts]) => [first, second, ...acts]);

/** Every count that is kept, beside what counting anew gives. */
const COUNTS = `
  SELECT 'lot ' || l.id AS what, l.queued AS kept, (SELECT COUNT(*) FROM shards s WHERE s.lot = l.id AND s.state = 'queued') AS counted
    FROM shares l WHERE l.demand IS NOT NULL
  UNION ALL SELECT 'requester ' || r.name, r.queued,
      (SELECT COUNT(*) FROM shards s JOIN shares l ON l.id = s.lot WHERE l.parent = r.id AND s.state = 'queued') FROM shares r WHERE r.parent = 1
  UNION ALL SELECT 'all', n.queued, (SELECT COUNT(*) FROM shards s WHERE s.lot IS NOT NULL AND s.state = 'queued') FROM shares n WHERE n.id = 1
  UNION ALL SELECT 'waiting ' || p.id, p.waiting, (SELECT COUNT(*) FROM shares c WHERE c.parent = p.id AND c.queued > 0) FROM shares p WHERE p.demand IS NULL
  UNION ALL SELECT 'demand ' || d.id, d.queued,
      (SELECT COUNT(*) FROM shards s JOIN shares l ON l.id = s.lot WHERE l.demand = d.id AND s.state = 'queued') FROM demands d
  UNION ALL SELECT 'ask ' || a.requester || ' ' || a.demand, a.queued,
      (SELECT COUNT(*) FROM shards s JOIN shares l ON l.id = s.lot WHERE l.parent = a.requester AND l.demand = a.demand AND s.state = 'queued')
    FROM asks a
  UNION ALL SELECT 'shard ' || s.id, s.state IN ('leased', 'settling'),
      EXISTS (SELECT 1 FROM attempts t WHERE t.shard_id = s.id AND t.state IN ('leased', 'submitted', 'disputed')) FROM shards s`;

test('in every history the lines of what waits say what waits, and a shard is open with two workers at most, each once', async () => {
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'hearthlend-lines-'));
  let runs = 0;
  let doubled = 0;
  try {
    await fc.assert(
      fc.asyncProperty(history, async (acts) => {
        runs += 1;
        const path = join(root, `${runs}.db`);
        const { store } = openSqliteStore(path, 'local');
        const db = new Database(path, { readonly: true });
        const counts = db.prepare<[], { what: string; kept: number; counted: number }>(COUNTS);
        const open = db.prepare<[], { shard_id: string; workers: number; attempts: number }>(
          "SELECT shard_id, COUNT(DISTINCT worker) AS workers, COUNT(*) AS attempts FROM attempts WHERE state IN ('leased', 'submitted', 'disputed') GROUP BY shard_id",
        );
        const served = db.prepare<[], { least: number }>('SELECT MIN(served_ms) AS least FROM shares');
        try {
          for (const each of acts) {
            await each(store);
            expect(counts.all().filter(({ kept, counted }) => kept !== counted)).toEqual([]);
            for (const { workers, attempts } of open.all()) {
              expect(attempts).toBeLessThanOrEqual(2);
              expect(workers).toBe(attempts);
              doubled += attempts - 1;
            }
            expect(served.get()?.least).toBeGreaterThanOrEqual(0);
          }
        } finally {
          db.close();
          await store.close();
        }
      }),
      { numRuns: 40 },
    );
    // Or the histories were too tame to say anything.
    expect(doubled).toBeGreaterThan(0);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
