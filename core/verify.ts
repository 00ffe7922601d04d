import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HearthlendError } from './contract/errors.ts';
import type { Address } from './contract/receipt.ts';
import type { LedgerVerification } from './contract/rpc.ts';
import { openIdentity } from './identity/identity.ts';
import { verifyLedger } from './ledger/verify.ts';

/**
 * Checks the ledger of a data folder without opening it for writing: also one that an agent would refuse to go on with. Nothing is made or
 * changed, and an agent may be writing meanwhile. What is wrong is in `problems`. @throws DATABASE_NEWER, DATABASE_UNAVAILABLE
 */
export async function verifyDataDir(dataDir: string): Promise<LedgerVerification> {
  const worker = knownWorker(join(dataDir, 'identity.json'));
  return verifyLedger({ path: join(dataDir, 'ledger.db'), ...(worker === undefined ? {} : { worker }) });
}

/** Whose ledger it is. Undefined where the identity is gone or can't be used: the entries then say by themselves who recorded them. */
function knownWorker(path: string): Address | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return openIdentity(path).address;
  } catch (thrown) {
    if (thrown instanceof HearthlendError && (thrown.code === 'IDENTITY_INVALID' || thrown.code === 'IDENTITY_EXPOSED')) return undefined;
    throw thrown;
  }
}
