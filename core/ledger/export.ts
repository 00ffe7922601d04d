import { existsSync } from 'node:fs';
import { csvLine } from '../contract/csv.ts';
import { messageOf } from '../contract/messages.ts';
import { isPracticeCredit } from '../contract/money.ts';
import { storageError } from '../contract/storage-error.ts';
import { knownMessage } from './activity.ts';
import { connectReader } from './connect.ts';
import { type AttemptRow, attemptOf } from './derived.ts';

/** The columns of the export, in order. Times are ISO 8601 in UTC, amounts base units of `asset`, `runMs` milliseconds. */
const COLUMNS = [
  ...(['time', 'network', 'shard', 'job', 'attempt', 'kind', 'origin', 'practice', 'state', 'units', 'priceUnit', 'unitPrice'] as const),
  ...(['amount', 'asset', 'model', 'inputs', 'outputs', 'runMs', 'audited', 'receiptSequence', 'receiptHash', 'leasedAt'] as const),
  ...(['runningAt', 'computedAt', 'submittedAt', 'code', 'reason', 'device', 'millijoules', 'energyEstimated'] as const),
];
type ExportRow = Record<(typeof COLUMNS)[number], string | number | boolean | null>;
type Joined = AttemptRow & { receiptHash: string | null };

/**
 * The attempts in a ledger as text, oldest first, one row a string with its line end: CSV (RFC 4180, with a line of names first) or one JSON
 * object a line. Only attempts whose latest change lies in [fromMs, toMs). Reads one snapshot in flat memory; the file may be written meanwhile.
 * @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE
 */
export function* exportRows(
  path: string,
  format: 'csv' | 'json',
  fromMs: number | null,
  toMs: number | null,
): Generator<string, void, undefined> {
  if (format === 'csv') yield csvLine(COLUMNS);
  if (!existsSync(path)) return;
  const db = connectReader(path);
  try {
    const rows = db.prepare<[number, number], Joined>(`
      SELECT attempts.*, receipts.hash AS receiptHash
      FROM attempts LEFT JOIN receipts
        ON receipts.network = attempts.network AND receipts.worker = lower(attempts.worker) AND receipts.sequence = attempts.receiptSequence
      WHERE attempts.at >= ? AND attempts.at < ? ORDER BY attempts.firstEntry`);
    for (const joined of rows.iterate(fromMs ?? 0, toMs ?? Number.MAX_SAFE_INTEGER)) {
      const row = exportRow(joined);
      yield format === 'csv' ? csvLine(COLUMNS.map((column) => row[column])) : `${JSON.stringify(row)}\n`;
    }
  } catch (thrown) {
    throw storageError(path, thrown);
  } finally {
    db.close();
  }
}

function exportRow({ receiptHash, ...row }: Joined): ExportRow {
  const attempt = attemptOf(row);
  const reason = knownMessage(attempt.reason);
  return {
    time: isoTime(attempt.at),
    network: attempt.network,
    shard: attempt.shardId,
    job: attempt.jobId,
    attempt: attempt.attempt,
    kind: attempt.kind,
    origin: attempt.origin,
    practice: isPracticeCredit(attempt.asset),
    state: attempt.state,
    units: attempt.units,
    priceUnit: attempt.priceUnit,
    unitPrice: attempt.unitPrice,
    amount: attempt.amount,
    asset: attempt.asset,
    model: attempt.model,
    inputs: attempt.inputs,
    outputs: attempt.outputs,
    runMs: attempt.runMs,
    audited: attempt.audited,
    receiptSequence: attempt.receiptSequence,
    receiptHash,
    leasedAt: isoTime(attempt.leasedAt),
    runningAt: isoTime(attempt.runningAt),
    computedAt: isoTime(attempt.computedAt),
    submittedAt: isoTime(attempt.submittedAt),
    code: attempt.code,
    reason: reason === null ? null : messageOf(reason),
    device: attempt.device,
    millijoules: attempt.millijoules,
    energyEstimated: attempt.energyEstimated,
  };
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
