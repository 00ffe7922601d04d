import { mkdirSync, realpathSync } from 'node:fs';
import { HearthlendError } from './contract/errors.ts';
import { storageError } from './contract/storage-error.ts';
import { resolveLibraries } from './supervisor/sandbox/libraries.ts';
import { listProc } from './supervisor/sandbox/needs.ts';
import type { Wall } from './supervisor/sandbox/plan.ts';
import { planSigner, type SignerNeeds } from './supervisor/sandbox/plan-signer.ts';
import { spawnLaunch } from './supervisor/sandbox/spawn.ts';
import type { SignerPort } from './wallet/wallet.ts';

interface SignerParts {
  nodePath: string;
  signerScript: string;
  /** The wallet's folder; made where it isn't there. */
  folder: string;
}

/** Starts the signer behind the wall that the workers stand behind, so that whoever is in it reaches no network. */
export function signerPort(wall: Wall, parts: SignerParts): SignerPort {
  let needs: Promise<SignerNeeds> | undefined;
  return {
    offline: { sealed: wall.program !== null, reason: wall.reason },
    async start() {
      needs ??= resolveSignerNeeds(parts);
      try {
        return spawnLaunch(planSigner(wall, await needs));
      } catch (thrown) {
        needs = undefined;
        throw thrown;
      }
    },
  };
}

/** What a signer needs of this machine; makes the wallet's folder. @throws SIGNER_START_FAILED, DATA_DIR_UNWRITABLE */
export async function resolveSignerNeeds({ nodePath, signerScript, folder }: SignerParts): Promise<SignerNeeds> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw storageError(folder, thrown);
  }
  try {
    const node = realpathSync(nodePath);
    const linux = process.platform === 'linux';
    return {
      nodePath: node,
      scriptPath: realpathSync(signerScript),
      walletDir: realpathSync(folder),
      arch: process.arch,
      libraries: linux ? await resolveLibraries(node, [], []) : [],
      procEntries: linux ? listProc() : [],
    };
  } catch (thrown) {
    throw new HearthlendError('SIGNER_START_FAILED', { detail: (thrown as Error).message }, { cause: thrown });
  }
}
