import { randomInt } from 'node:crypto';
import { SigningKey } from 'ethers';
import type { Bytes32 } from '../../contract/digest.ts';
import { HearthlendError } from '../../contract/errors.ts';
import type { Address } from '../../contract/receipt.ts';
import { createSealReceiver, type Sealed, type SealKey, seal } from '../../contract/seal.ts';
import {
  CONFIRMED_WORDS,
  PASSWORD_CHARACTERS,
  type RevealedWords,
  replyPurpose,
  type SignerReply,
  type SignerRequest,
  sealPurpose,
  WALLET_SECRETS,
  type WalletAct,
  type WalletSecret,
} from '../../contract/signer.ts';
import type { Described, Signed, ToSign } from '../../contract/signing.ts';
import { type KeystoreFile, readKeystore, replaceKeystore, writeFirstKeystore } from '../keystore.ts';
import { decryptKey, encryptKey, type HeldKey, keyFrom, newKey } from './keys.ts';
import { type Meaning, type ReadMeaning, unsigned } from './meaning.ts';
import { readSpent, spend, withLimit, writeSpent } from './spending.ts';

/** More approvals than any person gives between two locks. */
const MAX_APPROVALS = 10_000;

type Answer<T> = T extends { id: number } ? Omit<T, 'id'> : never;

export interface Signer {
  readonly publicKey: SealKey;
  /** Does what was asked. One at a time: the caller waits. @throws HearthlendError, which never holds anything of a secret */
  act(request: SignerRequest): Promise<Answer<Extract<SignerReply, { address: Address }>>>;
}

/** The one that holds the key, from the unlocking to the end of its process. `folder`: the wallet's; `meaningOf`: all that it may sign. */
export async function createSigner(folder: string, meaningOf: ReadMeaning): Promise<Signer> {
  const receiver = await createSealReceiver();
  let held: HeldKey | null = null;
  let asked: number[] = [];
  /** Sealed approvals that have been used: each counts once, whoever kept a copy of it on the way here. */
  const used = new Set<string>();
  let approved: Bytes32 | null = null;

  async function opened<A extends WalletAct>(act: A, sealed: Sealed): Promise<WalletSecret<A>> {
    const secret = WALLET_SECRETS[act].safeParse(await receiver.open(sealed, sealPurpose(act)));
    // What was wrong with it is not said: the schema's words might quote it.
    if (!secret.success) throw new HearthlendError('SEAL_INVALID');
    return secret.data as WalletSecret<A>;
  }

  function requireKeystore(): KeystoreFile {
    const file = readKeystore(folder);
    if (file === null) throw new HearthlendError('WALLET_MISSING');
    return file;
  }

  function wordsFor(act: 'create' | 'reveal', phrase: string, replyKey: SealKey): Promise<Sealed> {
    const words = phrase.split(' ');
    asked = drawPositions(words.length);
    const revealed: RevealedWords = { words, ask: asked };
    return seal(replyKey, replyPurpose(act), revealed);
  }

  const acts: { [A in WalletAct]: (secret: WalletSecret<A>) => Promise<Sealed | null> } = {
    async create({ password, replyKey }) {
      const file = readKeystore(folder);
      if (file !== null) throw new HearthlendError('WALLET_EXISTS', { address: file.address });
      requireLength(password);
      const key = newKey();
      writeFirstKeystore(folder, await encryptKey(key, password));
      held = key;
      return wordsFor('create', key.words?.phrase ?? '', replyKey);
    },
    async import({ password, oldPassword, from }) {
      const file = readKeystore(folder);
      if (file !== null && oldPassword === null) throw new HearthlendError('WALLET_EXISTS', { address: file.address });
      if (file !== null && oldPassword !== null) await decryptKey(file.json, oldPassword);
      requireLength(password);
      const key = await keyFrom(from);
      const json = await encryptKey(key, password);
      if (file === null) writeFirstKeystore(folder, json);
      else replaceKeystore(folder, json, file);
      held = key;
      return null;
    },
    async unlock({ password }) {
      held = await decryptKey(requireKeystore().json, password);
      return null;
    },
    async reveal({ password, what, replyKey }) {
      held = await decryptKey(requireKeystore().json, password);
      if (what === 'key') return seal(replyKey, replyPurpose('reveal'), { privateKey: held.privateKey });
      if (held.words === null) throw new HearthlendError('WALLET_NO_WORDS');
      return wordsFor('reveal', held.words.phrase, replyKey);
    },
    async confirm({ words }) {
      if (held === null) throw new HearthlendError('WALLET_LOCKED');
      if (held.words === null) throw new HearthlendError('WALLET_NO_WORDS');
      const all = held.words.phrase.split(' ');
      const right =
        asked.length === CONFIRMED_WORDS && asked.every((position, index) => all[position - 1] === words[index]?.trim().toLowerCase());
      if (!right) throw new HearthlendError('WALLET_WORDS_WRONG');
      return null;
    },
    async limit({ password, asset, perDay }) {
      held = await decryptKey(requireKeystore().json, password);
      writeSpent(folder, withLimit(readSpent(folder, held), asset, perDay), held);
      return null;
    },
    async approve({ password, seen }) {
      held = await decryptKey(requireKeystore().json, password);
      approved = seen;
      return null;
    },
  };

  function requireHeld(): HeldKey {
    if (held === null) throw new HearthlendError('WALLET_LOCKED');
    return held;
  }

  function meaning(what: ToSign): Meaning & { held: HeldKey } {
    const key = requireHeld();
    return { ...meaningOf(what, key.address, Math.floor(Date.now() / 1000)), held: key };
  }

  function describe(what: ToSign): Described {
    const { words, seen } = meaning(what);
    return { words, seen };
  }

  /** Signs what says the same as what was seen. What it spends is on record before there is a signature. */
  function sign(what: ToSign, wanted: string): Signed {
    const { words, seen, spending, digest, held } = meaning(what);
    if (seen !== wanted) throw new HearthlendError('TRANSACTION_REFUSED', { detail: 'it says something else than what was confirmed' });
    if (spending !== null) writeSpent(folder, spend(readSpent(folder, held), spending, Date.now()), held);
    const signature = new SigningKey(held.privateKey).sign(digest);
    if (what.kind !== 'transaction') return { words, seen, signed: signature.serialized };
    const transaction = unsigned(what.transaction);
    transaction.signature = signature;
    return { words, seen, signed: transaction.serialized };
  }

  return {
    publicKey: receiver.publicKey,
    async act(request) {
      if (request.act === 'describe') return { type: 'described', address: requireHeld().address, ...describe(request.what) };
      if (request.act === 'sign') return { type: 'signed', address: requireHeld().address, ...sign(request.what, request.seen) };
      const { act, sealed } = request;
      const secret = await opened(act, sealed);
      approved = null;
      if (act === 'approve') {
        const copy = `${sealed.key} ${sealed.box}`;
        if (used.has(copy) || used.size >= MAX_APPROVALS) throw new HearthlendError('SEAL_INVALID');
        used.add(copy);
      }
      const reply = await (acts[act] as (secret: unknown) => Promise<Sealed | null>)(secret);
      return { type: 'done', address: requireHeld().address, sealed: reply, approved };
    },
  };
}

function requireLength(password: string): void {
  const { least } = PASSWORD_CHARACTERS;
  if ([...password].length < least) throw new HearthlendError('WALLET_PASSWORD_SHORT', { least });
}

/** Different positions from 1 to `words`, ascending, as somebody reads them off. */
function drawPositions(words: number): number[] {
  const drawn = new Set<number>();
  while (drawn.size < CONFIRMED_WORDS) drawn.add(randomInt(1, words + 1));
  return [...drawn].sort((a, b) => a - b);
}
