import { z } from 'zod';
import { BackendName } from './backends.ts';
import { Sha256 } from './digest.ts';
import { MessageRef } from './messages.ts';
import { Address } from './receipt.ts';
import { JobId, NetworkId, ShardId } from './shard.ts';

/** One audit, as its worker reads it. What it was compared with isn't told: it would show which shards are canaries. */
export const AuditEntry = z.strictObject({
  shardId: ShardId,
  attempt: z.int().min(1),
  /** ms since 1970, the coordinator's clock. */
  at: z.int(),
  /** `undecided`: the reference could not say, and nobody is blamed. */
  outcome: z.enum(['valid', 'bad', 'undecided']),
  /** What differed, for the last two. */
  detail: z.string().max(1000),
});
export type AuditEntry = z.infer<typeof AuditEntry>;

/** Most entries in a report: the newest. */
export const REPORTED_AUDITS = 100;

/** How a worker stands with a network. */
export const AuditReport = z.strictObject({
  /** Valid audits since the last bad one, and with what probability the next result is audited for it. */
  validInARow: z.int().min(0),
  probability: z.number().min(0).max(1),
  /** Since the worker joined. */
  valid: z.int().min(0),
  bad: z.int().min(0),
  undecided: z.int().min(0),
  /** Until when (ms since 1970) it gets no work; null where it does. */
  suspendedUntil: z.int().nullable(),
  /** Newest first. */
  recent: z.array(AuditEntry).max(REPORTED_AUDITS),
});
export type AuditReport = z.infer<typeof AuditReport>;

/** Thresholds that were measured for a model and two backends, and from what. */
export const CalibrationRow = z.strictObject({
  model: Sha256,
  claimed: BackendName,
  reference: BackendName,
  /** Up to where rows of floats may differ (relative L2), a draw's edges (probability), and a logit; and the part of tokens that may be near-ties. */
  distance: z.number().min(0),
  draw: z.number().min(0),
  logit: z.number().min(0),
  nearTies: z.number().min(0).max(1),
  /** What was compared, and the furthest that two honest computations were apart. */
  comparisons: z.int().min(0),
  worst: z.number().min(0),
  at: z.int(),
});
export type CalibrationRow = z.infer<typeof CalibrationRow>;

/** A model, and two backends where it is about those, between which nothing could be measured, and why. */
export const Uncalibrated = z.strictObject({
  model: Sha256,
  claimed: BackendName.nullable(),
  reference: BackendName.nullable(),
  reason: MessageRef,
});
export type Uncalibrated = z.infer<typeof Uncalibrated>;

/**
 * What a rejected result is judged by, for whoever appeals: what was claimed, what was computed, and what would have been tolerated. The bytes are kept
 * with it, by their digests, as long as the record is; those that were too large are not (`bytesKept` false).
 */
export const AppealRecord = z.strictObject({
  network: NetworkId,
  worker: Address,
  jobId: JobId,
  shardId: ShardId,
  attempt: z.int().min(1),
  at: z.int(),
  model: Sha256,
  inputs: Sha256,
  claimed: z.strictObject({ outputs: Sha256, backend: BackendName.nullable() }),
  /** Outputs of the coordinator's own computations, each of another number of threads; for a generation what was drawn along the claimed tokens. */
  computed: z.array(Sha256).max(4),
  /** What the bounds are for a generation's draws and its greedy choices, and for rows of floats. */
  tolerated: z.strictObject({ distance: z.number(), draw: z.number(), logit: z.number() }),
  detail: z.string().max(1000),
  bytesKept: z.boolean(),
});
export type AppealRecord = z.infer<typeof AppealRecord>;
