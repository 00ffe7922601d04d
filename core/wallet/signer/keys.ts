import { scrypt as nodeScrypt } from 'node:crypto';
import { computeAddress, decryptKeystoreJson, encryptKeystoreJson, HDNodeWallet, Mnemonic, scrypt } from 'ethers';
import { z } from 'zod';
import { HearthlendError } from '../../contract/errors.ts';
import type { Address } from '../../contract/receipt.ts';
import type { WalletSecret } from '../../contract/signer.ts';

/** A key held while unlocked. `words`: its recovery words, where it has any. */
export interface HeldKey {
  address: Address;
  privateKey: string;
  words: { phrase: string; entropy: string; path: string } | null;
}

/** ethers' own strength: 128 MiB and about half a second a guess. */
const SCRYPT = { N: 131_072, r: 8, p: 1 };
/** Somebody's keystore may ask for more, but not for all memory, or for hours. */
const KDF_LIMITS = { memoryBytes: 512 * 2 ** 20, parallel: 16, rounds: 10_000_000 };

// The same function as ethers' own in JavaScript, by OpenSSL: several times as fast, and it leaves the event loop free.
scrypt.register(
  (password, salt, N, r, p, bytes) =>
    new Promise((resolve, reject) => {
      nodeScrypt(password, salt, bytes, { N, r, p, maxmem: 2 * KDF_LIMITS.memoryBytes }, (error, key) => {
        if (error === null) resolve(`0x${key.toString('hex')}`);
        else reject(error);
      });
    }),
);

/** A new key with twelve words of BIP-39. */
export function newKey(): HeldKey {
  return fromWallet(HDNodeWallet.createRandom());
}

/** The encrypted keystore V3 of a key. Its recovery words go into it as ethers keeps them, encrypted as well. */
export function encryptKey(key: HeldKey, password: string): Promise<string> {
  const { address, privateKey, words } = key;
  const mnemonic = words === null ? {} : { mnemonic: { entropy: words.entropy, path: words.path, locale: 'en' } };
  return encryptKeystoreJson({ address, privateKey, ...mnemonic }, password, { scrypt: SCRYPT });
}

/** @throws WALLET_PASSWORD_WRONG, WALLET_SECRET_INVALID for what is no keystore, or asks for more than it may */
export async function decryptKey(json: string, password: string): Promise<HeldKey> {
  if (!withinLimits(json)) throw new HearthlendError('WALLET_SECRET_INVALID');
  try {
    const { address, privateKey, mnemonic } = await decryptKeystoreJson(json, password);
    if (mnemonic?.entropy === undefined) return { address, privateKey, words: null };
    const path = mnemonic.path ?? "m/44'/60'/0'/0/0";
    return { address, privateKey, words: { phrase: Mnemonic.fromEntropy(mnemonic.entropy).phrase, entropy: mnemonic.entropy, path } };
  } catch (thrown) {
    // Messages of ethers quote what they are about, so none of them leaves here.
    const wrong =
      thrown instanceof Error && 'code' in thrown && thrown.code === 'INVALID_ARGUMENT' && /incorrect password/.test(thrown.message);
    throw new HearthlendError(wrong ? 'WALLET_PASSWORD_WRONG' : 'WALLET_SECRET_INVALID');
  }
}

/** The key that somebody brings along. @throws WALLET_SECRET_INVALID, WALLET_PASSWORD_WRONG for a keystore's */
export async function keyFrom(from: WalletSecret<'import'>['from']): Promise<HeldKey> {
  if (from.kind === 'keystore') return decryptKey(from.json, from.password);
  try {
    if (from.kind === 'words') return fromWallet(HDNodeWallet.fromPhrase(from.words.trim().toLowerCase().split(/\s+/).join(' ')));
    const privateKey = `0x${from.key.trim().replace(/^0x/, '').toLowerCase()}`;
    return { address: computeAddress(privateKey), privateKey, words: null };
  } catch {
    throw new HearthlendError('WALLET_SECRET_INVALID');
  }
}

function fromWallet({ address, privateKey, mnemonic, path }: HDNodeWallet): HeldKey {
  if (mnemonic === null || path === null) throw new TypeError('made without words');
  return { address, privateKey, words: { phrase: mnemonic.phrase, entropy: mnemonic.entropy, path } };
}

/** What a keystore demands of the one who opens it. The format's writers disagree on a capital. */
const KdfParams = z.looseObject({
  n: z.int().min(2).default(2),
  r: z.int().min(1).default(1),
  p: z.int().min(1).default(1),
  c: z.int().min(1).default(1),
});
const Cipher = z.looseObject({ kdfparams: KdfParams });
const Demands = z.union([
  z.looseObject({ Crypto: Cipher }).transform(({ Crypto }) => Crypto.kdfparams),
  z.looseObject({ crypto: Cipher }).transform(({ crypto }) => crypto.kdfparams),
]);

function withinLimits(json: string): boolean {
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch {
    return false;
  }
  const demands = Demands.safeParse(content);
  if (!demands.success) return false;
  const { n, r, p, c } = demands.data;
  return 128 * n * r <= KDF_LIMITS.memoryBytes && p <= KDF_LIMITS.parallel && c <= KDF_LIMITS.rounds;
}
