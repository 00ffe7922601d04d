import { createUser, fromSeed } from '@nats-io/nkeys';
import type { WorkerNkey } from '../contract/joining.ts';

/** The key by which a network knows this machine. A network has one of its own, so that two of them can't tell that it is the same machine. */
export interface WorkerKey {
  nkey: WorkerNkey;
  seed: string;
}

export function makeWorkerKey(): WorkerKey {
  const pair = createUser();
  return { nkey: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) };
}

/** The public key of a seed; null for what is none. */
export function nkeyOf(seed: string): WorkerNkey | null {
  try {
    return fromSeed(new TextEncoder().encode(seed)).getPublicKey();
  } catch {
    return null;
  }
}

/** Base64. */
export function signText(seed: string, text: string): string {
  return Buffer.from(fromSeed(new TextEncoder().encode(seed)).sign(new TextEncoder().encode(text))).toString('base64');
}
