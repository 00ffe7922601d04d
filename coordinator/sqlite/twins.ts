import type { AssetId } from '../../core/contract/money.ts';
import type { Twin, TwinChanges, TwinReads, TwinVerdict } from '../trust/twins.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import { type ShardRow, shardFrom } from './rows.ts';

interface TwinRow {
  shard_id: string;
  source: string;
  attempt: number;
  worker: string;
  outputs: string;
  backend: Twin['backend'];
  offered: string;
  verdict: string | null;
}

const PAGE = 5000;

export function sqliteTwins({ db, read }: OpenDatabase): { reads: TwinReads; changes: SqliteChanges<TwinChanges> } {
  const selectTwin = db.prepare<[string], TwinRow>('SELECT * FROM twins WHERE shard_id = ?');
  const selectOf = db.prepare<[string, number], TwinRow>('SELECT * FROM twins WHERE source = ? AND attempt = ?');
  const selectFor = db.prepare<[string], ShardRow>(
    `SELECT s.* FROM twins t JOIN shards s ON s.id = t.shard_id
      WHERE t.offered = ? AND t.verdict IS NULL AND s.state = 'queued' ORDER BY s.created_at, s.id LIMIT 1`,
  );
  const selectWaits = db.prepare<[string], { one: number }>(
    `SELECT 1 AS one FROM twins t JOIN attempts a ON a.shard_id = t.source AND a.attempt = t.attempt
      WHERE t.worker = ? AND t.verdict IS NULL AND a.state IN ('submitted', 'disputed') LIMIT 1`,
  );
  const selectSpare = db.prepare<{ id: string }, { spare: number }>(
    'SELECT EXISTS (SELECT 1 FROM canaries WHERE shard_id = :id) OR EXISTS (SELECT 1 FROM twins WHERE shard_id = :id) AS spare',
  );
  const insertShard = db.prepare(
    "INSERT OR IGNORE INTO shards (id, job_id, origin, state, attempt, prompt_tokens, created_at, shard) VALUES (?, ?, ?, 'queued', 0, ?, ?, ?)",
  );
  const insertTwin = db.prepare(
    'INSERT INTO twins (shard_id, source, attempt, worker, outputs, backend, offered) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const isQueued = "shard_id IN (SELECT id FROM shards WHERE state = 'queued')";
  const offer = db.prepare(`UPDATE twins SET offered = :to WHERE shard_id = :id AND offered = :from AND ${isQueued}`);
  const drop = db.prepare<{ id: string; at: number }>(
    `UPDATE shards SET state = 'failed', settled_at = :at WHERE id = :id AND state = 'queued'
      AND EXISTS (SELECT 1 FROM twins WHERE shard_id = :id)`,
  );
  const selectStale = db.prepare<[number], { id: string }>(
    "SELECT s.id FROM twins t JOIN shards s ON s.id = t.shard_id WHERE s.state = 'queued' AND s.created_at < ? ORDER BY s.id",
  );
  const settle = db.prepare('UPDATE twins SET verdict = ? WHERE shard_id = ? AND verdict IS NULL');
  const payAfter = db.prepare<[number, number], { number: number; asset: string; amount: string }>(
    'SELECT number, asset, amount FROM audit_pay WHERE number > ? ORDER BY number LIMIT ?',
  );
  let added = 0;
  const pay = new Map<AssetId, bigint>();

  const twinFrom = (row: TwinRow | undefined): Twin | null => {
    if (row === undefined) return null;
    const { shard_id, source, attempt, worker, outputs, backend, offered, verdict } = row;
    return {
      ...{ shardId: shard_id, source: { shardId: source, attempt }, worker, outputs, backend, offered },
      verdict: verdict === null ? null : (JSON.parse(verdict) as TwinVerdict),
    };
  };

  return {
    reads: {
      async twin(shardId) {
        return twinFrom(read(() => selectTwin.get(shardId)));
      },
      async twinOf({ shardId, attempt }) {
        return twinFrom(read(() => selectOf.get(shardId, attempt)));
      },
      async twinFor(worker) {
        const row = read(() => selectFor.get(worker));
        return row === undefined ? null : shardFrom(row);
      },
      waitsForTwin: (worker) => read(() => selectWaits.get(worker)) !== undefined,
      async twinsWaitingSince(before) {
        return read(() => selectStale.all(before)).map(({ id }) => id);
      },
      async isSpare(shardId) {
        return read(() => selectSpare.get({ id: shardId }))?.spare === 1;
      },
      async auditPay() {
        for (let rows = read(() => payAfter.all(added, PAGE)); rows.length > 0; rows = read(() => payAfter.all(added, PAGE))) {
          for (const { number, asset, amount } of rows) {
            pay.set(asset, (pay.get(asset) ?? 0n) + BigInt(amount));
            added = number;
          }
        }
        return new Map(pay);
      },
    },
    changes: {
      issueTwin: {
        durable: 'later',
        apply({ shard, promptTokens, createdAt }, { source, worker, outputs, backend, offered }) {
          const known = selectOf.get(source.shardId, source.attempt);
          if (known !== undefined) return known.shard_id;
          const { id, jobId, origin } = shard;
          // A name that is taken, by chance, is no twin's.
          if (insertShard.run(id, jobId, origin, promptTokens, createdAt, JSON.stringify(shard)).changes === 0) return null;
          insertTwin.run(id, source.shardId, source.attempt, worker, outputs, backend, offered);
          return id;
        },
      },
      offerTwin: {
        durable: 'later',
        apply: (id, from, to) => offer.run({ id, from, to }).changes === 1,
      },
      dropTwin: {
        durable: 'later',
        apply: (id, at) => drop.run({ id, at }).changes === 1,
      },
      settleTwin: {
        durable: 'together',
        apply(shardId, verdict) {
          settle.run(JSON.stringify(verdict), shardId);
        },
      },
    },
  };
}
