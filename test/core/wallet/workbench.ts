import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { createSealReceiver, type Sealed, seal } from '../../../core/contract/seal.ts';
import {
  type RevealedKey,
  type RevealedWords,
  replyPurpose,
  sealPurpose,
  type WalletAct,
  type WalletSecret,
} from '../../../core/contract/signer.ts';
import type { WalletStatus } from '../../../core/contract/wallet.ts';
import { detectWall } from '../../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../../core/supervisor/sandbox/needs.ts';
import type { Wall } from '../../../core/supervisor/sandbox/plan.ts';
import type { SignerChild } from '../../../core/wallet/signer-process.ts';
import { openWallet, type Wallet } from '../../../core/wallet/wallet.ts';
import { signerPort } from '../../../core/wallet-ports.ts';

const root = join(import.meta.dirname, '../../..');
export const SIGNER = join(root, 'dist/wallet/signer.mjs');
export const PASSWORD = 'lantern over the quiet hill';
const WORKER = '0x1111111111111111111111111111111111111111';

let wall: Promise<Wall> | undefined;
/** The wall of this machine, as the agent finds it. */
export function thisWall(): Promise<Wall> {
  wall ??= resolveNeeds({
    nodePath: process.execPath,
    scriptPath: join(root, 'dist/worker/native.mjs'),
    modelsDir: tmpdir(),
    scratchBytes: 1 << 20,
    heapMiB: 256,
  }).then((needs) => detectWall(needs));
  return wall;
}

/** A wallet with its real signer, in a folder of its own, and the side on which people type. */
export interface Bench {
  folder: string;
  wallet: Wallet;
  changes: WalletStatus[];
  /** Signer processes started so far. */
  children: SignerChild[];
  create(password?: string): Promise<RevealedWords>;
  import(from: WalletSecret<'import'>['from'], oldPassword?: string | null, password?: string): Promise<WalletStatus>;
  unlock(password?: string): Promise<WalletStatus>;
  revealKey(password?: string): Promise<string>;
  revealWords(password?: string): Promise<RevealedWords>;
  confirm(words: string[]): Promise<WalletStatus>;
  sealed<A extends WalletAct>(act: A, secret: WalletSecret<A>): Promise<Sealed>;
}

export async function openBench(options: { folder?: string; autoLockMinutes?: number; behind?: Wall } = {}): Promise<Bench> {
  const folder = options.folder ?? join(temporaryFolder(), 'wallet');
  const port = signerPort(options.behind ?? (await thisWall()), { nodePath: process.execPath, signerScript: SIGNER, folder });
  const changes: WalletStatus[] = [];
  const children: SignerChild[] = [];
  const wallet = openWallet({
    folder,
    signer: {
      offline: port.offline,
      start: async () => {
        const child = await port.start();
        children.push(child);
        return child;
      },
    },
    payee: WORKER,
    autoLockMinutes: () => options.autoLockMinutes ?? 15,
    clock: Date.now,
    onChange: (status) => changes.push(status),
    onFault: (error) => {
      throw error;
    },
  });
  onTestFinished(() => wallet.close());

  async function sealed<A extends WalletAct>(act: A, secret: WalletSecret<A>): Promise<Sealed> {
    return seal(await wallet.begin(), sealPurpose(act), secret);
  }

  async function askFor(act: 'create' | 'reveal', secret: Record<string, unknown>): Promise<unknown> {
    const receiver = await createSealReceiver();
    const reply = await wallet[act](await sealed(act, { ...secret, replyKey: receiver.publicKey } as never));
    return receiver.open(reply.sealed, replyPurpose(act));
  }

  return {
    folder,
    wallet,
    changes,
    children,
    sealed,
    create: async (password = PASSWORD) => (await askFor('create', { password })) as RevealedWords,
    import: async (from, oldPassword = null, password = PASSWORD) => wallet.import(await sealed('import', { password, oldPassword, from })),
    unlock: async (password = PASSWORD) => wallet.unlock(await sealed('unlock', { password })),
    revealKey: async (password = PASSWORD) =>
      ((await askFor('reveal', { password, what: 'key' })) as { privateKey: string } satisfies typeof RevealedKey._output).privateKey,
    revealWords: async (password = PASSWORD) => (await askFor('reveal', { password, what: 'words' })) as RevealedWords,
    confirm: async (words) => wallet.confirm(await sealed('confirm', { words })),
  };
}

/** The code with which something is refused. */
export async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new HearthlendError('INTERNAL', { detail: 'it was not refused' }),
    (thrown: unknown) => thrown,
  );
  return error instanceof HearthlendError ? error.code : String(error);
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-wallet-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
