import type { Bytes32 } from './digest.ts';
import { HearthlendError } from './errors.ts';
import type { RpcClient } from './rpc-client.ts';
import { createSealReceiver, type Sealed, type SealKey, seal } from './seal.ts';
import { RevealedKey, RevealedWords, replyPurpose, sealPurpose, type WalletAct, type WalletSecret } from './signer.ts';
import type { WalletStatus } from './wallet.ts';

/** The wallet from where secrets are typed: a page or a terminal. What is given goes sealed to the signer, what comes back was sealed for here. */
export interface WalletClient {
  /** @throws WALLET_EXISTS, WALLET_PASSWORD_SHORT */
  create(password: string): Promise<{ status: WalletStatus; words: RevealedWords }>;
  /** @throws WALLET_EXISTS, WALLET_PASSWORD_SHORT, WALLET_PASSWORD_WRONG, WALLET_SECRET_INVALID */
  import(secret: WalletSecret<'import'>): Promise<WalletStatus>;
  /** @throws WALLET_MISSING, WALLET_PASSWORD_WRONG */
  unlock(password: string): Promise<WalletStatus>;
  /** @throws WALLET_MISSING, WALLET_PASSWORD_WRONG, WALLET_NO_WORDS */
  words(password: string): Promise<RevealedWords>;
  /** The private key as 0x and 64 hex digits. @throws WALLET_MISSING, WALLET_PASSWORD_WRONG */
  key(password: string): Promise<string>;
  /** The words that were asked for, in the order of their numbers. @throws WALLET_WORDS_WRONG, WALLET_LOCKED */
  confirm(words: string[]): Promise<WalletStatus>;
  /** What may be spent of an asset within a day. @throws WALLET_MISSING, WALLET_PASSWORD_WRONG */
  limit(secret: WalletSecret<'limit'>): Promise<WalletStatus>;
  /** The password over what was shown, sealed: good for one act. */
  approval(password: string, seen: Bytes32): Promise<Sealed>;
}

export function createWalletClient(call: RpcClient['call']): WalletClient {
  async function sealed<A extends WalletAct>(act: A, secret: WalletSecret<A>): Promise<{ sealed: Sealed }> {
    const { signerKey } = await call('wallet.begin', {});
    return { sealed: await seal(signerKey, sealPurpose(act), secret) };
  }

  /** Asks with a key for the answer that nobody else has, and opens the answer. */
  async function revealed<T>(
    act: 'create' | 'reveal',
    secret: (replyKey: SealKey) => WalletSecret<'create'> | WalletSecret<'reveal'>,
    schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
  ): Promise<{ status: WalletStatus; secret: T }> {
    const receiver = await createSealReceiver();
    const reply = await call(`wallet.${act}`, await sealed(act, secret(receiver.publicKey) as WalletSecret<typeof act>));
    const opened = schema.safeParse(await receiver.open(reply.sealed, replyPurpose(act)));
    if (!opened.success) throw new HearthlendError('SEAL_INVALID');
    return { status: reply.status, secret: opened.data };
  }

  return {
    async create(password) {
      const { status, secret } = await revealed('create', (replyKey) => ({ password, replyKey }), RevealedWords);
      return { status, words: secret };
    },
    import: async (secret) => call('wallet.import', await sealed('import', secret)),
    unlock: async (password) => call('wallet.unlock', await sealed('unlock', { password })),
    async words(password) {
      return (await revealed('reveal', (replyKey) => ({ password, what: 'words', replyKey }), RevealedWords)).secret;
    },
    async key(password) {
      return (await revealed('reveal', (replyKey) => ({ password, what: 'key', replyKey }), RevealedKey)).secret.privateKey;
    },
    confirm: async (words) => call('wallet.confirm', await sealed('confirm', { words })),
    limit: async (secret) => call('wallet.limit', await sealed('limit', secret)),
    approval: async (password, seen) => (await sealed('approve', { password, seen })).sealed,
  };
}
