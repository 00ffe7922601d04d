import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SignedDelegation, SignedPayeeChange, SignedRevocation } from './contract/delegation.ts';
import { HearthlendError } from './contract/errors.ts';
import { storageError } from './contract/storage-error.ts';
import { putFile } from './wallet/durable.ts';

const MAX_FILE_BYTES = 64 * 1024;
const MAX_REVOCATIONS = 8;

/** What the wallet said of this worker last, and what it took back. */
const Delegations = z.strictObject({
  delegation: SignedDelegation.nullable(),
  revocations: z.array(SignedRevocation).max(MAX_REVOCATIONS),
  /** Where the wallet said last that it is to be paid, by the networks' keys that it named. */
  payees: z.array(SignedPayeeChange).max(MAX_REVOCATIONS).optional(),
  /** What the wallet said for the key that is to follow, from before that takes the place of this one. */
  following: z.strictObject({ delegation: SignedDelegation, revocation: SignedRevocation.nullable() }).optional(),
});
export type Delegations = z.infer<typeof Delegations>;

/** Signed by the wallet and none of it secret, in a file of its own. @throws DELEGATION_INVALID, DATA_DIR_UNWRITABLE, DISK_FULL */
export function openDelegations(dataDir: string): { read(): Delegations; write(next: Delegations): void } {
  const path = join(dataDir, 'delegation.json');
  const invalid = (detail: string) => new HearthlendError('DELEGATION_INVALID', { detail: `${path} ${detail}` });
  return {
    read() {
      let text: string;
      try {
        const found = statSync(path, { throwIfNoEntry: false });
        if (found === undefined) return { delegation: null, revocations: [] };
        if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid('is too large');
        text = readFileSync(path, 'utf8');
      } catch (thrown) {
        throw storageError(path, thrown);
      }
      try {
        return Delegations.parse(JSON.parse(text));
      } catch {
        throw invalid('is damaged');
      }
    },
    write({ revocations, ...rest }) {
      const kept: Delegations = { ...rest, revocations: revocations.slice(-MAX_REVOCATIONS) };
      putFile(path, `${JSON.stringify(kept, null, 2)}\n`, 'replace');
    },
  };
}
