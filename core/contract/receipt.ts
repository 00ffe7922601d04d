import { z } from 'zod';
import { Bytes32, Sha256 } from './digest.ts';
import { Amount, AssetId } from './money.ts';
import { JobId, NetworkId, ShardId } from './shard.ts';

/** An EVM address in EIP-55 or lower-case form. */
export const Address = z.string().regex(/^0x[0-9a-fA-F]{40}$/);
export type Address = z.infer<typeof Address>;

/** A 65-byte secp256k1 signature, r ‖ s ‖ v. */
export const Signature = z.string().regex(/^0x[0-9a-f]{130}$/);
export type Signature = z.infer<typeof Signature>;

/** A receipt batch holds at most this many receipts, and is closed at most BATCH_WINDOW_MS after its first one. */
export const BATCH_RECEIPTS = 64;
export const BATCH_WINDOW_MS = 1000;

/**
 * What one accepted shard is owed. The coordinator assigns `sequence` (from 1, without gaps, per network and worker) and `previousHash`
 * (the receipt before, 32 zero bytes for the first). `amount` = units × unitPrice; `time` in seconds since 1970.
 */
export const WorkReceipt = z.strictObject({
  network: NetworkId,
  jobId: JobId,
  shardId: ShardId,
  attempt: z.int().min(1),
  worker: Address,
  payee: Address,
  /** Model owner, data owner: shares of `amount` in basis points, taken out of it. */
  furtherPayees: z.array(z.strictObject({ payee: Address, shareBasisPoints: z.int().min(1).max(10_000) })).max(16),
  modelHash: Sha256,
  inputHash: Sha256,
  outputCommitment: Sha256,
  units: z.int().min(0),
  unitPrice: Amount,
  amount: Amount,
  asset: AssetId,
  time: z.int().min(0),
  sequence: z.int().min(1),
  previousHash: Bytes32,
});
export type WorkReceipt = z.infer<typeof WorkReceipt>;

/** What both sides sign: receipts `first` to `last` of one network and worker. `headHash` is the hash of receipt `last`. */
export const ReceiptBatch = z.strictObject({
  network: NetworkId,
  worker: Address,
  first: z.int().min(1),
  last: z.int().min(1),
  merkleRoot: Bytes32,
  headHash: Bytes32,
});
export type ReceiptBatch = z.infer<typeof ReceiptBatch>;

export const SignedBatch = z.strictObject({
  batch: ReceiptBatch,
  coordinatorSignature: Signature,
  workerSignature: Signature.nullable(),
});
export type SignedBatch = z.infer<typeof SignedBatch>;

/** The hash before the first receipt: 32 zero bytes. */
export const FIRST_PREVIOUS_HASH: Bytes32 = `0x${'0'.repeat(64)}`;
