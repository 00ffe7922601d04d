import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, linkSync, lstatSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { computeAddress, SigningKey } from 'ethers';
import { z } from 'zod';
import { type Bytes32, canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { Address, type ReceiptBatch, type Signature } from '../contract/receipt.ts';
import { batchDigest } from '../contract/receipt-hash.ts';
import { storageError } from '../contract/storage-error.ts';
import { MAX_SUCCESSIONS, Succession } from '../contract/succession.ts';
import { successionDigest } from '../contract/succession-hash.ts';

/** A secp256k1 key that signs and is never shown: no property, message or dump of it holds the key. */
export interface Identity {
  readonly address: Address;
  /** How this machine came to this key: each former key's word for the next, oldest first. */
  readonly successions: readonly Succession[];
  /** Signs 32 bytes as they are: EIP-712 digests and the like. */
  signDigest(digest: Bytes32): Signature;
  signBatch(batch: ReceiptBatch): Signature;
}

/** The file: the key as 64 hex digits, its address, so that a damaged file is not taken for another identity, and what led to it. */
const IdentityFile = z.strictObject({
  type: z.literal('hearthlend identity'),
  version: z.literal(1),
  address: Address,
  privateKey: z.string().regex(/^[0-9a-f]{64}$/),
  successions: z.array(Succession).max(MAX_SUCCESSIONS).optional(),
});

const MAX_FILE_BYTES = 4096;

/**
 * Reads the identity at `path`, or makes it there (0600) the first time; of several started at once all get the same one. Each name has a file
 * of its own. @throws IDENTITY_INVALID, IDENTITY_EXPOSED, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function openIdentity(path: string): Identity {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    makeIdentity(
      path,
      newIdentityFile(() => []),
    );
  return identityOf(readKey(path));
}

/**
 * The key that is to follow the one at `path`: made beside it, with the word of the present one for it. The same again until it takes its place.
 * @throws IDENTITY_*, DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function nextIdentity(path: string): Identity {
  const present = openIdentity(path);
  const next = nextPath(path);
  if (lstatSync(next, { throwIfNoEntry: false }) !== undefined) {
    const made = identityOf(readKey(next));
    if (made.successions.at(-1)?.from.toLowerCase() === present.address.toLowerCase()) return made;
    // Of a key that has gone meanwhile: nobody has ever heard of it.
    rmSync(next);
  }
  const content = newIdentityFile((to) => {
    const names = { from: present.address, to };
    const word = { ...names, signature: present.signDigest(successionDigest(names)) };
    return [...present.successions, word].slice(-MAX_SUCCESSIONS);
  });
  makeIdentity(next, content);
  return identityOf(readKey(next));
}

/**
 * Puts the next key in the place of the present one, in one step that a crash leaves done or undone. The old one is gone then; with `keep`, where
 * somebody may be paid by it, it stays in a file of its own. @throws DATA_DIR_UNWRITABLE, DISK_FULL
 */
export function replaceIdentity(path: string, { keep }: { keep: boolean }): Identity {
  const { address } = openIdentity(path);
  const next = nextIdentity(path);
  try {
    if (keep) keepBeside(path, address);
    renameSync(nextPath(path), path);
    syncFolder(dirname(path));
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  return next;
}

function keepBeside(path: string, address: Address): void {
  try {
    linkSync(path, path.replace(/(\.json)?$/, `-${address.toLowerCase()}.json`));
  } catch (thrown) {
    // Kept by a try that a crash ended.
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  }
}

function nextPath(path: string): string {
  return `${path}.next`;
}

/** The identity of this machine as it is now: another one from when it was replaced. */
export interface PresentIdentity extends Identity {
  become(next: Identity): void;
}

export function presentIdentity(first: Identity): PresentIdentity {
  let now = first;
  return {
    get address() {
      return now.address;
    },
    get successions() {
      return now.successions;
    },
    signDigest: (digest) => now.signDigest(digest),
    signBatch: (batch) => now.signBatch(batch),
    become(next) {
      now = next;
    },
  };
}

function identityOf({ key, successions }: { key: SigningKey; successions: readonly Succession[] }): Identity {
  const signDigest = (digest: Bytes32): Signature => key.sign(digest).serialized;
  return Object.freeze({
    address: computeAddress(key),
    successions,
    signDigest,
    signBatch: (batch: ReceiptBatch) => signDigest(batchDigest(batch)),
  });
}

/** Whole and durable before it has its name, and put there only where nothing is: `link` refuses what exists, `rename` would not. */
function makeIdentity(path: string, content: string): void {
  const partial = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.partial`;
  try {
    const file = openSync(partial, 'wx', 0o600);
    try {
      writeFileSync(file, content);
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

/** @param led what led to the new key, by its address */
function newIdentityFile(led: (address: Address) => Succession[]): string {
  for (;;) {
    const privateKey = randomBytes(32).toString('hex');
    const key = signingKey(privateKey);
    if (key === undefined) continue;
    const address = computeAddress(key);
    const successions = led(address);
    const history = successions.length === 0 ? {} : { successions };
    return `${canonicalJson({ type: 'hearthlend identity', version: 1, address, privateKey, ...history })}\n`;
  }
}

/** Errors here have no cause: what failed to be read may hold the key, and parsers quote what they read. */
function readKey(path: string): { key: SigningKey; successions: readonly Succession[] } {
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
  return { key, successions: file.data.successions ?? [] };
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
