import type { Amount } from '../../core/contract/money.ts';
import {
  type AddJobResult,
  type JobTerms,
  MAX_OPEN_JOBS,
  type Requester,
  type RequesterChanges,
  type RequesterReads,
} from '../requesters.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import { type JobRow, jobFrom } from './rows.ts';

interface RequesterRow {
  id: string;
  name: string;
  hash: string;
  created_at: number;
  budget: string | null;
  spent: string;
}

interface TermsRow {
  requester: string | null;
  per_unit: string;
  max_units: number;
  units: number;
}

/** A job's row with what it is charged, as `jobFrom` reads it. */
export const SELECT_JOBS =
  'SELECT jobs.*, t.asset, t.unit, t.per_unit, t.max_units, t.units FROM jobs LEFT JOIN job_terms t ON t.job_id = jobs.id';

export function sqliteRequesters(
  { db, read }: OpenDatabase,
  network: string,
): { reads: RequesterReads; changes: SqliteChanges<RequesterChanges> } {
  const selectAll = db.prepare<[], RequesterRow>('SELECT * FROM requesters ORDER BY created_at, id');
  const selectByHash = db.prepare<[string], RequesterRow>('SELECT * FROM requesters WHERE hash = ?');
  const selectById = db.prepare<[string], RequesterRow>('SELECT * FROM requesters WHERE id = ?');
  const count = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM requesters');
  const insert = db.prepare('INSERT INTO requesters (id, name, hash, created_at, budget) VALUES (?, ?, ?, ?, ?)');
  const remove = db.prepare('DELETE FROM requesters WHERE id = ?');
  const selectOwner = db.prepare<[string], { requester: string | null }>(
    'SELECT t.requester FROM jobs LEFT JOIN job_terms t ON t.job_id = jobs.id WHERE jobs.id = ?',
  );
  const selectJobs = db.prepare<[string, number], JobRow>(
    `${SELECT_JOBS} WHERE t.requester = ? ORDER BY jobs.created_at DESC, jobs.rowid DESC LIMIT ?`,
  );

  return {
    reads: {
      async requesters() {
        return read(() => selectAll.all()).map(requesterFrom);
      },
      async requesterByHash(hash) {
        const row = read(() => selectByHash.get(hash));
        return row === undefined ? null : requesterFrom(row);
      },
      async requesterOf(jobId) {
        return read(() => selectOwner.get(jobId))?.requester;
      },
      async jobsOf(requester, limit) {
        return read(() => selectJobs.all(requester, limit)).map((row) => jobFrom(network, row));
      },
    },
    changes: {
      addRequester: {
        durable: 'at once',
        apply({ id, name, hash, createdAt, budget }, limit) {
          if ((count.get()?.count ?? 0) >= limit) return false;
          insert.run(id, name, hash, createdAt, budget);
          return true;
        },
      },
      removeRequester: {
        durable: 'at once',
        apply(id) {
          const row = selectById.get(id);
          remove.run(id);
          return row === undefined ? null : requesterFrom(row);
        },
      },
    },
  };
}

/** What the changes of jobs do to what they are charged to. Amounts are added here, since they pass SQLite's integers. */
export function sqliteTerms({ db }: OpenDatabase) {
  const selectById = db.prepare<[string], RequesterRow>('SELECT * FROM requesters WHERE id = ?');
  const selectOpen = db.prepare<[string], TermsRow>(
    "SELECT t.* FROM job_terms t JOIN jobs ON jobs.id = t.job_id WHERE t.requester = ? AND jobs.state IN ('queued', 'running')",
  );
  const insert = db.prepare('INSERT INTO job_terms (job_id, requester, asset, unit, per_unit, max_units) VALUES (?, ?, ?, ?, ?, ?)');
  const selectOfShard = db.prepare<[string], TermsRow>(
    'SELECT t.* FROM job_terms t JOIN shards ON shards.job_id = t.job_id WHERE shards.id = ?',
  );
  const addUnits = db.prepare('UPDATE job_terms SET units = units + ? WHERE job_id = (SELECT job_id FROM shards WHERE id = ?)');
  const addSpent = db.prepare('UPDATE requesters SET spent = ? WHERE id = ?');

  return {
    /** Whether the requester's budget has room for a job, counting what its open jobs may still cost at most. */
    check({ requester, perUnit, maxUnits }: JobTerms): Exclude<AddJobResult, 'added' | 'known'> | undefined {
      if (requester === null) return undefined;
      const open = selectOpen.all(requester);
      if (open.length >= MAX_OPEN_JOBS) return { refused: 'open-jobs' };
      const row = selectById.get(requester);
      if (row?.budget == null) return undefined;
      const reserved = open.reduce((sum, job) => sum + BigInt(job.max_units - job.units) * BigInt(job.per_unit), 0n);
      const left = BigInt(row.budget) - BigInt(row.spent) - reserved;
      if (BigInt(maxUnits) * BigInt(perUnit) <= left) return undefined;
      return { refused: 'budget', left: (left > 0n ? left : 0n).toString() };
    },
    insert(jobId: string, { requester, asset, unit, perUnit, maxUnits }: JobTerms): void {
      insert.run(jobId, requester, asset, unit, perUnit, maxUnits);
    },
    /** So many units of a shard were accepted. */
    charge(shardId: string, units: number): void {
      const terms = selectOfShard.get(shardId);
      if (terms === undefined) return;
      addUnits.run(units, shardId);
      const row = terms.requester === null ? undefined : selectById.get(terms.requester);
      if (row === undefined) return;
      const spent: Amount = (BigInt(row.spent) + BigInt(units) * BigInt(terms.per_unit)).toString();
      addSpent.run(spent, row.id);
    },
  };
}

function requesterFrom({ id, name, hash, created_at, budget, spent }: RequesterRow): Requester {
  return { id, name, hash, createdAt: created_at, budget, spent };
}
