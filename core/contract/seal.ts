import { z } from 'zod';

/**
 * How a secret goes from the one who types it to the one who needs it, past everyone between: X25519 with a key of the sender's made for this
 * one message, HKDF-SHA-256, AES-256-GCM. Only what WebCrypto has, so a page, a terminal and the signer run the same lines.
 */
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** The largest thing that is sealed is somebody's keystore file. */
const SEALED_BYTES_MAX = 96 * 1024;

/** A raw X25519 public key in base64. */
export const SealKey = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);
export type SealKey = z.infer<typeof SealKey>;

/** A sealed message: the sender's public key for it, and the ciphertext with its tag. */
export const Sealed = z.strictObject({
  key: SealKey,
  box: z
    .string()
    .max(Math.ceil(SEALED_BYTES_MAX / 3) * 4)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/),
});
export type Sealed = z.infer<typeof Sealed>;

/** The receiving end: whoever has `publicKey` can seal to it, and only the holder of this object opens. The private key can't be exported. */
export interface SealReceiver {
  readonly publicKey: SealKey;
  /** The value that was sealed for this `purpose`; undefined for what was not, or not to this key. */
  open(sealed: Sealed, purpose: string): Promise<unknown>;
}

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** A receiver with a new key. */
export async function createSealReceiver(): Promise<SealReceiver> {
  const { publicKey, privateKey } = await newKeyPair();
  const own = await rawKey(publicKey);
  return {
    publicKey: base64(own),
    open: async (sealed, purpose) => {
      try {
        const sender = bytesOf(sealed.key);
        const key = await sharedKey({ own: privateKey, other: sender, sender, receiver: own, purpose });
        const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: new Uint8Array(NONCE_BYTES) }, key, bytesOf(sealed.box));
        return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(plain)) as unknown;
      } catch {
        // Whatever was wrong with it, the answer is the same: a reason would tell a forger how far it came.
        return undefined;
      }
    },
  };
}

/** Seals a JSON value for one purpose, so that it can't be used for another. @throws RangeError for a value that is too large */
export async function seal(to: SealKey, purpose: string, value: unknown): Promise<Sealed> {
  const { publicKey, privateKey } = await newKeyPair();
  const sender = await rawKey(publicKey);
  const receiver = bytesOf(to);
  const plain = new TextEncoder().encode(JSON.stringify(value));
  if (plain.byteLength + TAG_BYTES > SEALED_BYTES_MAX) throw new RangeError('too large to be sealed');
  const key = await sharedKey({ own: privateKey, other: receiver, sender, receiver, purpose });
  // The key is used for this one message, so the nonce need not differ.
  const box = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: new Uint8Array(NONCE_BYTES) }, key, plain);
  plain.fill(0);
  return { key: base64(sender), box: base64(new Uint8Array(box)) };
}

async function newKeyPair(): Promise<{ publicKey: Key; privateKey: Key }> {
  const pair: unknown = await crypto.subtle.generateKey({ name: 'X25519' }, false, ['deriveBits']);
  return pair as { publicKey: Key; privateKey: Key };
}

async function rawKey(key: Key): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.exportKey('raw', key));
}

interface Exchange {
  own: Key;
  other: Uint8Array<ArrayBuffer>;
  sender: Uint8Array<ArrayBuffer>;
  receiver: Uint8Array<ArrayBuffer>;
  purpose: string;
}

/** Both public keys and the purpose go into the key, so nothing of them can be exchanged for something else. */
async function sharedKey({ own, other, sender, receiver, purpose }: Exchange): Promise<Key> {
  const publicKey = await crypto.subtle.importKey('raw', other, { name: 'X25519' }, false, []);
  const shared = await crypto.subtle.deriveBits({ name: 'X25519', public: publicKey }, own, KEY_BYTES * 8);
  const salt = new Uint8Array([...sender, ...receiver]);
  const info = new TextEncoder().encode(`hearthlend seal 1 ${purpose}`);
  const secret = await crypto.subtle.importKey('raw', shared, 'HKDF', false, ['deriveKey']);
  return crypto.subtle.deriveKey({ name: 'HKDF', hash: 'SHA-256', salt, info }, secret, { name: 'AES-GCM', length: KEY_BYTES * 8 }, false, [
    'encrypt',
    'decrypt',
  ]);
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
