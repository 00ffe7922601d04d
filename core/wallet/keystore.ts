import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getAddress } from 'ethers';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import type { Address } from '../contract/receipt.ts';
import { storageError } from '../contract/storage-error.ts';
import { putFile } from './durable.ts';

/** More than any keystore V3 file needs. */
const MAX_FILE_BYTES = 64 * 1024;

/** What can be read of a keystore V3 file without its password. Its fields are known in both cases: the format's writers differ. */
const KeystoreHead = z.looseObject({
  version: z.literal(3),
  address: z.string().regex(/^(0x)?[0-9a-fA-F]{40}$/),
  'x-ethers': z.looseObject({ mnemonicCiphertext: z.string() }).optional(),
});

/** The wallet's encrypted file, read without its password. */
export interface KeystoreFile {
  json: string;
  /** With its checksum. That the key is really this one's shows at the first unlocking. */
  address: Address;
  hasWords: boolean;
}

/** Where the encrypted key lies inside the wallet's folder. */
function keystorePath(folder: string): string {
  return join(folder, 'keystore.json');
}

/** The wallet's file; null where there is none. @throws KEYSTORE_INVALID, DATA_DIR_UNWRITABLE */
export function readKeystore(folder: string): KeystoreFile | null {
  const path = keystorePath(folder);
  const invalid = (detail: string) => new HearthlendError('KEYSTORE_INVALID', { path, detail });
  let json: string;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return null;
    if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid('it is no keystore file');
    json = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  try {
    const head = KeystoreHead.parse(JSON.parse(json));
    return { json, address: getAddress(`0x${head.address.replace(/^0x/, '')}`), hasWords: head['x-ethers'] !== undefined };
  } catch {
    throw invalid('it is damaged, or no keystore of version 3');
  }
}

/** Puts the first keystore there. @throws WALLET_EXISTS where there is one, DISK_FULL, DATA_DIR_UNWRITABLE */
export function writeFirstKeystore(folder: string, json: string): void {
  if (!putFile(keystorePath(folder), json, 'new')) {
    throw new HearthlendError('WALLET_EXISTS', { address: readKeystore(folder)?.address ?? '?' });
  }
}

/**
 * Puts a keystore in the place of `old`, which stays beside it under its address: money may still come to it.
 * @throws DISK_FULL, DATA_DIR_UNWRITABLE
 */
export function replaceKeystore(folder: string, json: string, old: KeystoreFile): void {
  for (let copy = 1; !putFile(join(folder, `replaced-${old.address}-${copy}.json`), old.json, 'new'); copy += 1);
  putFile(keystorePath(folder), json, 'replace');
}
