import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { recoverAddress } from 'ethers';
import { z } from 'zod';
import { type Bytes32, canonicalJson, Sha256 } from '../contract/digest.ts';
import { Address, Signature } from '../contract/receipt.ts';
import { storageError } from '../contract/storage-error.ts';
import { writeDurably } from './durable-file.ts';

/** Where the chain ends: the last entry's sequence, hash and time. Sequence 0 before the first. */
export interface ChainEnd {
  sequence: number;
  hash: Sha256;
  at: number;
}

/** What the worker identity signed as the chain's end, in a file beside the database: a tail that is cut off shows against it. */
export const SignedHead = z.strictObject({
  sequence: z.int().min(0),
  hash: Sha256,
  at: z.int(),
  worker: Address,
  signature: Signature,
});
export type SignedHead = z.infer<typeof SignedHead>;

/** Who signs the chain's end: the worker identity. */
export interface HeadSigner {
  readonly address: Address;
  signDigest(digest: Bytes32): Signature;
}

const MAX_HEAD_BYTES = 4096;

export function headPath(databasePath: string): string {
  return join(dirname(databasePath), 'ledger.head');
}

/** @throws DISK_FULL, DATA_DIR_UNWRITABLE */
export function writeHead(databasePath: string, end: ChainEnd, signer: HeadSigner): void {
  const unsigned = { ...end, worker: signer.address };
  const head: SignedHead = { ...unsigned, signature: signer.signDigest(headDigest(unsigned)) };
  writeDurably(headPath(databasePath), `${canonicalJson(head)}\n`);
}

/** The signed end; `missing` where there is no file, `invalid` where it is not one that `worker` signed. @throws DATA_DIR_UNWRITABLE */
export function readHead(databasePath: string): SignedHead | 'missing' | 'invalid' {
  const path = headPath(databasePath);
  let text: string;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return 'missing';
    if (!found.isFile() || found.size > MAX_HEAD_BYTES) return 'invalid';
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  return parseHead(text);
}

function parseHead(text: string): SignedHead | 'invalid' {
  try {
    const head = SignedHead.safeParse(JSON.parse(text));
    if (!head.success) return 'invalid';
    const { signature, ...unsigned } = head.data;
    return recoverAddress(headDigest(unsigned), signature).toLowerCase() === head.data.worker.toLowerCase() ? head.data : 'invalid';
  } catch {
    // Neither JSON that can't be read nor a point off the curve is anybody's signature.
    return 'invalid';
  }
}

/** Not an EIP-712 digest, and no other text that is signed starts so: a head can't be passed off as anything else. */
function headDigest(head: Omit<SignedHead, 'signature'>): Bytes32 {
  return `0x${createHash('sha256')
    .update(`hearthlend ledger head\n${canonicalJson(head)}`)
    .digest('hex')}`;
}
