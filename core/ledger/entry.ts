import { hash } from 'node:crypto';
import { z } from 'zod';
import { Bytes32, canonicalJson, Sha256 } from '../contract/digest.ts';
import { Amount, AssetId } from '../contract/money.ts';
import { DeviceId, Freed } from '../contract/policy.ts';
import { Address, ReceiptBatch, Signature, WorkReceipt } from '../contract/receipt.ts';
import { JobId, NetworkId, ShardId } from '../contract/shard.ts';
import { Succession } from '../contract/succession.ts';
import { SignedVoucher } from '../contract/voucher.ts';

/** Foreign words that are kept with an entry (an error's detail): bounded, since they stay for good. */
export const DETAIL_CHARACTERS = 300;
const Detail = z.string().max(DETAIL_CHARACTERS);
const Code = z.string().max(64);

/** A message as it is kept: not checked against today's catalogue, so that an old ledger reads after a key is gone. */
const KeptMessage = z.strictObject({
  key: z.string().max(100),
  params: z.record(z.string().max(64), z.union([Detail, z.number()])),
});

/** Runs of which one entry may tell the energy. */
export const ENERGY_RUNS = 256;

const AttemptKey = { network: NetworkId, shardId: ShardId, attempt: z.int().min(1) };
const transition = z.strictObject(AttemptKey);

/** Every kind of entry and what its body holds: digests, never payloads. */
export const ENTRY_BODIES = {
  'shard.leased': z.strictObject({
    ...AttemptKey,
    jobId: JobId,
    shardKind: z.enum(['onnx.run', 'onnx.generate']),
    origin: z.enum(['practice', 'own', 'network']),
    model: Sha256,
    inputs: Sha256,
    asset: AssetId,
    priceUnit: z.enum(['run', 'token']),
    unitPrice: Amount,
    /** Whom the receipt must name. */
    worker: Address,
    payee: Address,
  }),
  'shard.fetched': transition,
  'shard.running': transition,
  'shard.computed': z.strictObject({
    ...AttemptKey,
    outputs: Sha256,
    outputBytes: z.int().min(0),
    units: z.int().min(0),
    runMs: z.number().min(0),
    /** What computed it; left out where that is not known any more. */
    device: DeviceId.optional(),
  }),
  'shard.submitted': transition,
  'shard.disputed': transition,
  'shard.accepted': z.strictObject({ ...AttemptKey, receiptSequence: z.int().min(1), audited: z.boolean() }),
  'shard.rejected': z.strictObject({ ...AttemptKey, code: Code, detail: Detail }),
  'shard.released': z.strictObject({ ...AttemptKey, reason: z.enum(['paused', 'stopped', 'crashed', 'restart']) }),
  'shard.failed': z.strictObject({ ...AttemptKey, code: Code, detail: Detail }),
  'shard.cancelled': transition,
  'shard.expired': transition,
  /** What runs took that are over: known only with the next look at the machine, so it comes after what they ended with. Estimated: no sensor measured it. */
  energy: z.strictObject({
    runs: z
      .array(z.strictObject({ ...AttemptKey, millijoules: z.int().min(0), estimated: z.boolean() }))
      .min(1)
      .max(ENERGY_RUNS),
  }),
  receipt: WorkReceipt,
  batch: z.strictObject({ batch: ReceiptBatch, coordinator: Address, coordinatorSignature: Signature, workerSignature: Signature }),
  /** A network's promise for its receipts `first` to `last`, signed by its payer or by whom the escrow says may sign. */
  voucher: z.strictObject({
    network: NetworkId,
    first: z.int().min(1),
    last: z.int().min(1),
    signed: SignedVoucher,
    signer: Address,
  }),
  /** A voucher that could not be taken, as it was signed: what a network can be held to. */
  'voucher.refused': z.strictObject({ network: NetworkId, signed: SignedVoucher, detail: Detail }),
  /** What a final block shows was paid of a channel, and what that makes since the beginning, in base units. */
  'claim.paid': z.strictObject({
    channel: Bytes32,
    amount: Amount,
    cumulative: Amount,
    /** Null where somebody else claimed for us. */
    transactionHash: Bytes32.nullable(),
    block: z.int().min(0),
  }),
  'agent.started': z.strictObject({ version: z.string().max(64), worker: Address }),
  'agent.stopped': z.strictObject({}),
  /** From here on this machine is another worker; the one that it was said so. */
  'identity.rekeyed': Succession,
  'agent.paused': z.strictObject({ reason: KeptMessage }),
  /** What the last pause gave back, and how long that took from what led to it. */
  'agent.yielded': z.strictObject({ yieldMs: z.number().min(0), freed: Freed }),
  'agent.resumed': z.strictObject({}),
} as const;

export type EntryKind = keyof typeof ENTRY_BODIES;
export type EntryBody<K extends EntryKind> = z.output<(typeof ENTRY_BODIES)[K]>;
export type KeptMessage = z.infer<typeof KeptMessage>;

/** Something to be appended: its kind, its body, and when it happened (ms since 1970). */
export type Draft<K extends EntryKind = EntryKind> = { [Kind in K]: { at: number; kind: Kind; body: EntryBody<Kind> } }[K];

/** An entry with its place in the chain: `sequence` from 1 without gaps. */
export type Entry<K extends EntryKind = EntryKind> = Draft<K> & { sequence: number };

/** The hash before the first entry. */
export const FIRST_PREVIOUS_HASH: Sha256 = '0'.repeat(64);

/**
 * SHA-256 of the canonical JSON of {sequence, at, kind, body, previousHash}. `bodyJson` is the body's canonical JSON as it is stored, byte for
 * byte, so that a change which leaves its meaning (a space, an escape) shows as well.
 */
export function hashEntry(sequence: number, at: number, kind: string, bodyJson: string | Uint8Array, previousHash: string): Sha256 {
  const [before, after] = [`{"at":${at},"body":`, `,"kind":${quoted(kind)},"previousHash":${quoted(previousHash)},"sequence":${sequence}}`];
  if (typeof bodyJson === 'string') return hash('sha256', before + bodyJson + after);
  return hash('sha256', Buffer.concat([Buffer.from(before), bodyJson, Buffer.from(after)]));
}

/** Kinds and hashes as they always are need no look at each of their characters. */
function quoted(text: string): string {
  return /^[a-z0-9.]*$/.test(text) ? `"${text}"` : canonicalJson(text);
}
