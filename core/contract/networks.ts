import { z } from 'zod';
import { Sha256 } from './digest.ts';
import { IsolationLevel } from './isolation.ts';
import { NetworkTerms, Payout } from './joining.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { NetworkId } from './shard.ts';

/** An invitation as it was pasted or followed. */
export const JoinLinkText = z.string().min(1).max(2000);

const floor = Amount.nullable();

const fields = {
  /** Isolation levels under which this network's work may run here. */
  isolation: z.array(IsolationLevel).max(8),
  refusedCategories: z.array(z.string().regex(/^[a-z0-9-]{1,64}$/)).max(64),
  /** Its models may also run where no sandbox stands around the worker. */
  trusted: z.boolean(),
  /** The least that a unit is done for, in base units of the network's asset; null: no least. */
  floorPerRun: floor,
  floorPerToken: floor,
  /** The most that may be owed and not paid yet, in base units; null: not decided. */
  creditLimit: Amount.nullable(),
  /** What one whole unit of the asset is worth to the user, in the currency of the tariff; null: not known. */
  worth: z.number().min(0).max(1e12).nullable(),
  paused: z.boolean(),
};

/** What the user decided about one joined network. */
export const NetworkChoices = z.strictObject({
  isolation: fields.isolation.default(['os', 'chromium']),
  refusedCategories: fields.refusedCategories.default([]),
  trusted: fields.trusted.default(false),
  floorPerRun: fields.floorPerRun.default(null),
  floorPerToken: fields.floorPerToken.default(null),
  creditLimit: fields.creditLimit.default(null),
  worth: fields.worth.default(null),
  paused: fields.paused.default(false),
});
export type NetworkChoices = z.infer<typeof NetworkChoices>;

/** Some of it, to be changed. */
export const NetworkChoicesChange = z.strictObject(fields).partial();
export type NetworkChoicesChange = z.infer<typeof NetworkChoicesChange>;

/**
 * How a network stands. `off`: nobody asked for it since the start. `lost`: it is tried again by itself. `refused`: it lets this machine in no
 * more. `suspended`: it proved wrong, and gets no more work done until the next start.
 */
const NetworkConnection = z.strictObject({
  state: z.enum(['off', 'paused', 'connecting', 'connected', 'lost', 'refused', 'suspended']),
  reason: MessageRef.nullable(),
});

/** The four numbers of one network since the beginning, in base units of its asset. */
export const NetworkEarnings = z.strictObject({
  expected: Amount,
  accepted: Amount,
  promised: Amount,
  paid: Amount,
  acceptedShards: z.int().min(0),
});
export type NetworkEarnings = z.infer<typeof NetworkEarnings>;

/** One network of this machine: its own (`terms` null), or one that was joined. */
export const NetworkRow = z.strictObject({
  id: NetworkId,
  terms: NetworkTerms.nullable(),
  choices: NetworkChoices.nullable(),
  joinedAt: z.int().nullable(),
  /** Whom it pays for this machine's work, and a change of that which waits; left out where it has not said. */
  payout: Payout.optional(),
  connection: NetworkConnection,
  /** Why it lends no work; null while it does. */
  noWork: MessageRef.nullable(),
  /** Why its last lease was taken before the other networks'; null before the first. */
  took: MessageRef.nullable(),
  asset: AssetId,
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  earnings: NetworkEarnings,
});
export type NetworkRow = z.infer<typeof NetworkRow>;

/** What somebody reads before joining. `fingerprint` is the certificate authority's that answered, and is the link's. */
export const NetworkPreview = z.strictObject({
  at: z.string(),
  fingerprint: Sha256,
  terms: NetworkTerms,
  joined: z.boolean(),
  /** What it would owe this machine before it may promise any of it, in base units: no credit limit may be lower. Null where it promises nothing. */
  owedUnpromised: Amount.nullable(),
});
export type NetworkPreview = z.infer<typeof NetworkPreview>;

/** A network that makes itself known on the local network. Nobody has checked what it says of itself; to join it needs a link. */
export const NearbyNetwork = z.strictObject({
  id: NetworkId,
  operator: z.string().max(200),
  /** host:port of its HTTPS. */
  at: z.string().max(300),
  fingerprint: Sha256,
});
export type NearbyNetwork = z.infer<typeof NearbyNetwork>;
