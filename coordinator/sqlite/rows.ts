import type { JobCharge, JobStatus, SubmitReply } from '../../core/contract/network.ts';
import type { SignedBatch } from '../../core/contract/receipt.ts';
import type { Shard, Submission } from '../../core/contract/shard.ts';
import type { AttemptRecord, Failure, ShardRecord } from '../store.ts';

export interface JobRow {
  id: string;
  kind: JobStatus['kind'];
  state: JobStatus['state'];
  created_at: number;
  finished_at: number | null;
  shards: number;
  accepted: number;
  error: string | null;
  /** These five are null for a job that nothing is charged for. */
  asset: string | null;
  unit: JobCharge['unit'] | null;
  per_unit: string | null;
  max_units: number | null;
  units: number | null;
}

export interface ShardRow {
  job_id: string;
  state: ShardRecord['state'];
  attempt: number;
  prompt_tokens: number;
  created_at: number;
  shard: string;
}

export interface AttemptRow {
  shard_id: string;
  attempt: number;
  worker: string;
  payee: string;
  state: AttemptRecord['state'];
  leased_at: number;
  deadline: number;
  reason: AttemptRecord['reason'];
  failure: string | null;
  submission: string | null;
  audit: number | null;
  reply: string | null;
}

export interface BatchRow {
  batch: string;
  coordinator_signature: string;
  worker_signature: string | null;
}

/** What this version wrote itself comes back as it was; the file as a whole is checked at opening. */
function fromJson<T>(text: string): T {
  return JSON.parse(text) as T;
}

function fromNullableJson<T>(text: string | null): T | null {
  return text === null ? null : fromJson<T>(text);
}

export function toNullableJson(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

export function jobFrom(network: string, row: JobRow): JobStatus {
  return {
    id: row.id,
    network,
    kind: row.kind,
    state: row.state,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    shards: row.shards,
    accepted: row.accepted,
    error: fromNullableJson<Failure>(row.error),
    ...chargeFrom(row),
  };
}

function chargeFrom({ asset, unit, per_unit, max_units, units }: JobRow): Pick<JobStatus, 'charge'> {
  if (asset === null || unit === null || per_unit === null || max_units === null || units === null || per_unit === '0') return {};
  return { charge: { asset, unit, perUnit: per_unit, maxUnits: max_units, units } };
}

export function shardFrom(row: ShardRow): ShardRecord {
  return {
    shard: fromJson<Shard>(row.shard),
    promptTokens: row.prompt_tokens,
    state: row.state,
    attempt: row.attempt,
    createdAt: row.created_at,
  };
}

export function attemptFrom(row: AttemptRow): AttemptRecord {
  return {
    shardId: row.shard_id,
    attempt: row.attempt,
    worker: row.worker,
    payee: row.payee,
    state: row.state,
    leasedAt: row.leased_at,
    deadline: row.deadline,
    reason: row.reason,
    failure: fromNullableJson<Failure>(row.failure),
    submission: fromNullableJson<Submission>(row.submission),
    audit: row.audit === null ? null : row.audit === 1,
    reply: fromNullableJson<SubmitReply>(row.reply),
  };
}

export function batchFrom(row: BatchRow): SignedBatch {
  return {
    batch: fromJson<SignedBatch['batch']>(row.batch),
    coordinatorSignature: row.coordinator_signature,
    workerSignature: row.worker_signature,
  };
}
