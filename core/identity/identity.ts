import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, lstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { computeAddress, SigningKey } from 'ethers';
import { z } from 'zod';
import { type Bytes32, canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { Address, type ReceiptBatch, type Signature } from '../contract/receipt.ts';
import { batchDigest } from '../contract/receipt-hash.ts';
import { storageError } from '../contract/storage-error.ts';

/** A secp256k1 key that signs and is never shown: no property, message or dump of it holds the key. */
export interface Identity {
  readonly address: Address;
  /** Signs 32 bytes as they are: EIP-712 digests and the like. */
  signDigest(digest: Bytes32): Signature;
  signBatch(batch: ReceiptBatch): Signature;
}

/** The file: the key as 64 hex digits, and its address, so that a damaged file is not taken for another identity. */
const IdentityFile = z.strictObject({
  type: z.literal('hearthlend identity'),
  version: z.literal(1),
  address: Address,
  privateKey: z.string().regex(/^[0-9a-f]{64}$/),
});

const MAX_FILE_BYTES = 4096;

/**
 * Reads the identity at `path`, or makes it there (0600) the first time; of several started at once all get the same one. Each name has a file
 * of its own. @throws IDENTITY_INVALID, IDENTITY_EXPOSED, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function openIdentity(path: string): Identity {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) makeIdentity(path);
  return identityOf(readKey(path));
}

function identityOf(key: SigningKey): Identity {
  const signDigest = (digest: Bytes32): Signature => key.sign(digest).serialized;
  return Object.freeze({ address: computeAddress(key), signDigest, signBatch: (batch: ReceiptBatch) => signDigest(batchDigest(batch)) });
}

/** Whole and durable before it has its name, and put there only where nothing is: `link` refuses what exists, `rename` would not. */
function makeIdentity(path: string): void {
  const partial = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = openSync(partial, 'wx', 0o600);
    try {
      writeFileSync(file, newIdentityFile());
      fsyncSync(file);
      linkSync(partial, path);
    } finally {
      closeSync(file);
      rmSync(partial, { force: true });
    }
    syncFolder(dirname(path));
  } catch (thrown) {
    // Another start was first: its identity is the one.
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw storageError(path, thrown);
  }
}

function newIdentityFile(): string {
  for (;;) {
    const privateKey = randomBytes(32).toString('hex');
    const key = signingKey(privateKey);
    if (key === undefined) continue;
    return `${canonicalJson({ type: 'hearthlend identity', version: 1, address: computeAddress(key), privateKey })}\n`;
  }
}

/** Errors here have no cause: what failed to be read may hold the key, and parsers quote what they read. */
function readKey(path: string): SigningKey {
  const invalid = (detail: string) => new HearthlendError('IDENTITY_INVALID', { path, detail });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true || found.size > MAX_FILE_BYTES) throw invalid('it is no identity file');
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    throw new HearthlendError('IDENTITY_EXPOSED', { path, mode: (found.mode & 0o777).toString(8) });
  }
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    throw invalid(code ?? 'it is not JSON');
  }
  const file = IdentityFile.safeParse(content);
  if (!file.success) throw invalid(`its ${file.error.issues[0]?.path.join('.') || 'content'} is malformed`);
  const key = signingKey(file.data.privateKey);
  if (key === undefined) throw invalid('its key is out of range');
  if (computeAddress(key).toLowerCase() !== file.data.address.toLowerCase()) throw invalid('its key is not that of its address');
  return key;
}

/** Undefined for the few 32-byte numbers that are no key: 0, and those not below the curve's order. */
function signingKey(privateKey: string): SigningKey | undefined {
  try {
    const key = new SigningKey(`0x${privateKey}`);
    computeAddress(key);
    return key;
  } catch {
    return undefined;
  }
}

function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const file = openSync(folder, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
