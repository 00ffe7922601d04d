import { z } from 'zod';
import { Bytes32 } from './digest.ts';
import { ERROR_CODES } from './errors.ts';
import type { FrameLimits } from './frame.ts';
import { Amount, AssetId } from './money.ts';
import { Address } from './receipt.ts';
import { Sealed, SealKey } from './seal.ts';
import { Described, Signed, ToSign } from './signing.ts';

/** A password's length in characters. The keystore's scrypt makes each guess cost half a second; the rest is up to the password. */
export const PASSWORD_CHARACTERS = { least: 10, most: 512 } as const;
/** How many words are asked for again before recovery words count as written down. */
export const CONFIRMED_WORDS = 3;

const Password = z.string().max(PASSWORD_CHARACTERS.most);
const Word = z.string().max(32);

/** What is inside the sealed part of each request. `replyKey`: to whom the answer is sealed. */
export const WALLET_SECRETS = {
  create: z.strictObject({ password: Password, replyKey: SealKey }),
  import: z.strictObject({
    password: Password,
    /** The password of the wallet that is here, to put another in its place; null where there is none. */
    oldPassword: Password.nullable(),
    from: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('words'), words: z.string().max(1000) }),
      z.strictObject({ kind: z.literal('key'), key: z.string().max(100) }),
      z.strictObject({
        kind: z.literal('keystore'),
        json: z.string().max(64 * 1024),
        password: Password,
      }),
    ]),
  }),
  unlock: z.strictObject({ password: Password }),
  reveal: z.strictObject({ password: Password, what: z.enum(['words', 'key']), replyKey: SealKey }),
  confirm: z.strictObject({ words: z.array(Word).length(CONFIRMED_WORDS) }),
  /** What may be spent of an asset within a day, in base units. With the password: whoever merely finds the wallet unlocked can't raise it. */
  limit: z.strictObject({ password: Password, asset: AssetId, perDay: Amount }),
  /** Says that its owner wants what `seen` stands for, once. For askers that an unlocked wallet alone is not to be enough for: pages. */
  approve: z.strictObject({ password: Password, seen: Bytes32 }),
} as const;
export type WalletAct = keyof typeof WALLET_SECRETS;
export type WalletSecret<A extends WalletAct> = z.infer<(typeof WALLET_SECRETS)[A]>;

/** What is inside a sealed answer: the words and which of them (from 1) are to be confirmed, or the key. */
export const RevealedWords = z.strictObject({
  words: z.array(Word).min(12).max(24),
  ask: z.array(z.int().min(1).max(24)).length(CONFIRMED_WORDS),
});
export type RevealedWords = z.infer<typeof RevealedWords>;
export const RevealedKey = z.strictObject({ privateKey: z.string().regex(/^0x[0-9a-f]{64}$/) });

/** The purposes that requests and answers are sealed for. */
export const sealPurpose = (act: WalletAct): string => `wallet.${act}`;
export const replyPurpose = (act: WalletAct): string => `wallet.${act} reply`;

/** Bounds of the frames between agent and signer: a header, never a body. */
export const SIGNER_FRAME_LIMITS: FrameLimits = { headerBytes: 160 * 1024, bodyBytes: 0 };

/** What is done with plain data: `describe` says what it means, `sign` signs what was described so. Both take an unlocked signer. */
const SignRequest = [
  z.strictObject({ id: z.int().min(1), act: z.literal('describe'), what: ToSign }),
  z.strictObject({ id: z.int().min(1), act: z.literal('sign'), what: ToSign, seen: Bytes32 }),
] as const;
const SealedRequest = z.strictObject({
  id: z.int().min(1),
  act: z.enum(Object.keys(WALLET_SECRETS) as [WalletAct, ...WalletAct[]]),
  sealed: Sealed,
});
export type SealedRequest = z.infer<typeof SealedRequest>;

/** Agent → signer. The agent sees what is wanted, and of secrets only the ciphertext. */
export const SignerRequest = z.discriminatedUnion('act', [SealedRequest, ...SignRequest]);
export type SignerRequest = z.infer<typeof SignerRequest>;

/** Signer → agent: `ready` once, then one answer a request. `id` 0 answers what had no readable id. */
export const SignerReply = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready'), publicKey: SealKey }),
  z.strictObject({
    ...{ type: z.literal('done'), id: z.int().min(1), address: Address, sealed: Sealed.nullable() },
    /** What was approved; null in the answers to other acts. */
    approved: Bytes32.nullable(),
  }),
  z.strictObject({ type: z.literal('described'), id: z.int().min(1), address: Address, ...Described.shape }),
  z.strictObject({ type: z.literal('signed'), id: z.int().min(1), address: Address, ...Signed.shape }),
  z.strictObject({
    type: z.literal('failed'),
    id: z.int().min(0),
    code: z.enum(ERROR_CODES),
    params: z.record(z.string().max(64), z.union([z.string().max(2000), z.number()])),
  }),
]);
export type SignerReply = z.infer<typeof SignerReply>;
