import { z } from 'zod';
import { ApiKey, ApiKeyName } from './api-keys.ts';
import { AppealRecord, CalibrationRow, Uncalibrated } from './audits.ts';
import { Sha256 } from './digest.ts';
import { WorkerNkey } from './joining.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { JobStatus } from './network.ts';
import { Address } from './receipt.ts';
import { JobId, NetworkId } from './shard.ts';

/**
 * What a network owes by its receipts and vouchers against what its escrow holds for that. Amounts in base units of the network's asset; times in ms since
 * 1970. What only the chain can say is null until it has said it.
 */
export const EscrowStatus = z.strictObject({
  chainId: z.int().min(1),
  contract: Address,
  payer: Address,
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  owed: z.strictObject({
    /** Accepted, and in no voucher yet. */
    unvouched: Amount,
    /** The part of it whose hold-back is not over. */
    heldBack: Amount,
    /** Promised, and not claimed. */
    unclaimed: Amount.nullable(),
    /** Accepted, and not claimed. */
    total: Amount.nullable(),
  }),
  holds: z
    .strictObject({
      deposit: Amount,
      /** The part of the deposit that is on its way out, and from when on (null: none). */
      thawing: Amount,
      thawedAt: z.int().nullable(),
      earmarked: Amount,
      earmarkThawing: Amount,
    })
    .nullable(),
  /** What is owed and the escrow holds, thawing money left out, each earmark for its own channel. */
  covered: Amount.nullable(),
  /** What has to be deposited for all that is owed to be covered. */
  missing: Amount.nullable(),
  claimed: Amount.nullable(),
  /** Whether vouchers that this coordinator signs are paid: by whom it signs, `until` when (null: until revoked). */
  signer: z.strictObject({ address: Address, state: z.enum(['authorised', 'revoked', 'unknown']), until: z.int().nullable() }).nullable(),
  /** Pairs of worker and payee that are owed or were paid something, and of how many of them the chain has said how they stand. */
  channels: z.int().min(0),
  channelsRead: z.int().min(0),
  checkedAt: z.int().nullable(),
  /** Why the chain has not said it, or what is wrong; null where all is well. */
  trouble: MessageRef.nullable(),
});
export type EscrowStatus = z.infer<typeof EscrowStatus>;

/** How a network stands, for who runs it. Times in ms since 1970. */
export const CoordinatorStatus = z.strictObject({
  id: NetworkId,
  operator: z.string().max(200),
  version: z.string().max(64),
  pid: z.int().min(1),
  startedAt: z.int(),
  now: z.int(),
  /** Where machines join and connect: the first of each is what an invitation names. */
  https: z.array(z.string().max(500)).max(64),
  servers: z.array(z.string().max(500)).max(64),
  /** SHA-256 of the network's certificate authority. */
  fingerprint: Sha256,
  metrics: z.url().max(500),
  /** Whether nats-server is run by this coordinator. */
  ownNats: z.boolean(),
  /** How many coordinators the network has, this one included. */
  coordinators: z.int().min(1),
  workers: z.strictObject({
    joined: z.int().min(0),
    /** That asked this coordinator something lately. */
    connected: z.int().min(0),
    suspended: z.int().min(0),
    revoked: z.int().min(0),
  }),
  openInvitations: z.int().min(0),
  jobs: z.record(z.enum(['queued', 'running', 'done', 'failed', 'cancelled']), z.int().min(0)),
  shards: z.record(z.enum(['queued', 'leased', 'settling']), z.int().min(0)),
  audits: z.strictObject({ valid: z.int().min(0), bad: z.int().min(0), undecided: z.int().min(0) }),
  /**
   * Since the beginning. `forAudits`: what of `accepted` was lent for audits alone, for which no requester is charged. `promised` and `settled` are null
   * where the network promises nothing that is worth anything.
   */
  money: z
    .array(z.strictObject({ asset: AssetId, accepted: Amount, forAudits: Amount, promised: Amount.nullable(), settled: Amount.nullable() }))
    .max(1024),
  /** Null where the network promises nothing that is worth anything. */
  escrow: EscrowStatus.nullable(),
});
export type CoordinatorStatus = z.infer<typeof CoordinatorStatus>;

/** A machine that joined, for who runs the network. */
export const MemberRow = z.strictObject({
  worker: Address,
  nkey: WorkerNkey,
  payee: Address,
  version: z.string().max(64),
  joinedAt: z.int(),
  revokedAt: z.int().nullable(),
  /** Attempts that it holds now, and results that were accepted since the beginning. */
  open: z.int().min(0),
  accepted: z.int().min(0),
  audits: z.strictObject({ valid: z.int().min(0), bad: z.int().min(0), undecided: z.int().min(0) }),
  suspendedUntil: z.int().nullable(),
  earned: z.array(z.strictObject({ asset: AssetId, amount: Amount })).max(1024),
});
export type MemberRow = z.infer<typeof MemberRow>;

const MAX_INVITATION_MS = 30 * 86_400_000;

/** What the operator's commands ask the running coordinator, on the loopback, by the token of its endpoint file. */
export const OPERATOR_CALLS = {
  status: { input: z.strictObject({}), output: CoordinatorStatus },
  invite: {
    input: z.strictObject({ lastingMs: z.int().min(1000).max(MAX_INVITATION_MS) }),
    output: z.strictObject({ link: z.string().max(2000), expiresAt: z.int() }),
  },
  workers: { input: z.strictObject({}), output: z.strictObject({ workers: z.array(MemberRow).max(100_000) }) },
  /** `revoked`: false where it is not one of the network's, or was revoked before. */
  revoke: { input: z.strictObject({ worker: Address }), output: z.strictObject({ revoked: z.boolean() }) },
  /** A key for somebody who sends work; its secret is told this once. `budget`: what all of its jobs together may cost (base units). */
  addkey: {
    input: z.strictObject({ name: ApiKeyName, budget: Amount.nullable() }),
    output: z.strictObject({ key: ApiKey, secret: z.string().max(256), https: z.array(z.string().max(500)).max(64), fingerprint: Sha256 }),
  },
  keys: { input: z.strictObject({}), output: z.strictObject({ keys: z.array(ApiKey).max(1000) }) },
  /** By its id or its name. */
  dropkey: { input: z.strictObject({ key: z.string().min(1).max(64) }), output: ApiKey },
  /**
   * Sets the thresholds of one model, or of all, by `samples` real shards of each. Takes as long as computing them some forty times. `workers`: also
   * between machines that are connected, which are paid for it; `left`: what could not be measured.
   */
  calibrate: {
    input: z.strictObject({ model: Sha256.nullable(), samples: z.int().min(1).max(64), workers: z.boolean() }),
    output: z.strictObject({ calibrations: z.array(CalibrationRow).max(1024), left: z.array(Uncalibrated).max(1024) }),
  },
  /** What results were rejected by, newest first. */
  appeals: { input: z.strictObject({}), output: z.strictObject({ appeals: z.array(AppealRecord).max(1000) }) },
  /** Newest first. */
  jobs: { input: z.strictObject({}), output: z.strictObject({ jobs: z.array(JobStatus).max(1000) }) },
  /** What is under way of it is taken back from its machines. One that is over stays as it is. */
  cancel: { input: z.strictObject({ job: JobId }), output: JobStatus },
  /** An address of the operator's page that lets one browser in, once, within 30 s. */
  open: { input: z.strictObject({}), output: z.strictObject({ url: z.string().max(500), code: z.string().max(256) }) },
  /** Ends a suspension before its time. `suspended`: whether there was one. */
  reinstate: { input: z.strictObject({ worker: Address }), output: z.strictObject({ suspended: z.boolean() }) },
} as const satisfies Record<string, { input: z.ZodType; output: z.ZodType }>;

export type OperatorCallName = keyof typeof OPERATOR_CALLS;
export type OperatorCallInput<N extends OperatorCallName> = z.input<(typeof OPERATOR_CALLS)[N]['input']>;
export type OperatorCallOutput<N extends OperatorCallName> = z.output<(typeof OPERATOR_CALLS)[N]['output']>;
export type OperatorHandlers = {
  [N in OperatorCallName]: (input: z.output<(typeof OPERATOR_CALLS)[N]['input']>) => Promise<OperatorCallOutput<N>>;
};
