import type { Bytes32 } from '../contract/digest.ts';
import type { Address, ReceiptBatch, Signature } from '../contract/receipt.ts';

/** A secp256k1 key that signs and is never shown. */
export interface Identity {
  readonly address: Address;
  /** Signs 32 bytes as they are: EIP-712 digests and the like. */
  signDigest(digest: Bytes32): Signature;
  signBatch(batch: ReceiptBatch): Signature;
}

/**
 * Reads the identity at `path`, or makes it there (0600) the first time; of two at once both get the same one.
 * @throws IDENTITY_INVALID, IDENTITY_EXPOSED, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export declare function openIdentity(path: string): Identity;
