import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getAddress, isAddress, ZeroAddress } from 'ethers';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import { Address } from '../contract/receipt.ts';
import { storageError } from '../contract/storage-error.ts';
import { putFile } from './durable.ts';
import { readKeystore } from './keystore.ts';

const MAX_FILE_BYTES = 4096;

/** What is kept beside the keystore, none of it secret: a watched address, and the address whose recovery words were confirmed. */
const WalletFile = z.strictObject({ watch: Address.nullable(), backedUp: Address.nullable() });
export type WalletFile = z.infer<typeof WalletFile>;

const NOTHING: WalletFile = { watch: null, backedUp: null };

/** @throws KEYSTORE_INVALID, DATA_DIR_UNWRITABLE */
export function readWalletFile(folder: string): WalletFile {
  const path = walletFilePath(folder);
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return NOTHING;
    if (!found.isFile() || found.size > MAX_FILE_BYTES) throw new HearthlendError('KEYSTORE_INVALID', { path, detail: 'it is too large' });
    return WalletFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (thrown) {
    if (thrown instanceof SyntaxError || thrown instanceof z.ZodError) {
      throw new HearthlendError('KEYSTORE_INVALID', { path, detail: 'it is damaged' }, { cause: thrown });
    }
    throw storageError(path, thrown);
  }
}

/** @throws DISK_FULL, DATA_DIR_UNWRITABLE */
export function writeWalletFile(folder: string, content: WalletFile): void {
  putFile(walletFilePath(folder), `${JSON.stringify(content)}\n`, 'replace');
}

/** Where earnings are to go: the wallet here, else the one that is watched; null where there is neither. @throws KEYSTORE_INVALID */
export function payeeOf(folder: string): Address | null {
  return readKeystore(folder)?.address ?? readWalletFile(folder).watch;
}

/** An address with its checksum, checked where it came with one (EIP-55). @throws WALLET_ADDRESS_INVALID */
export function checkedAddress(typed: string): Address {
  const text = typed.trim();
  const invalid = (detail: string) => new HearthlendError('WALLET_ADDRESS_INVALID', { address: text.slice(0, 60), detail });
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw invalid('it is not 0x and 40 hex digits');
  if (!isAddress(text)) throw invalid('its capitals are not those of its checksum, so a character is wrong');
  const address = getAddress(text);
  if (address === ZeroAddress) throw invalid('nobody has it');
  return address;
}

function walletFilePath(folder: string): string {
  return join(folder, 'wallet.json');
}
