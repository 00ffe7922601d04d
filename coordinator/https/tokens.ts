import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { Address } from '../../core/contract/receipt.ts';
import type { Worker } from '../service.ts';

const Claims = z.strictObject({ worker: Address, payee: Address, expiresAt: z.int() });
const MAX_CHARACTERS = 512;

/** What opens the blobs for one worker, for a while: made where it has proven its key, read where it shows this instead. Every coordinator has the key. */
export interface Tokens {
  issue(worker: Worker, expiresAt: number): string;
  /** Null for what is none, or past its time. */
  read(token: string, now: number): Worker | null;
}

export function createTokens(key: Uint8Array): Tokens {
  const seal = (payload: string) => createHmac('sha256', key).update(`hearthlend blobs ${payload}`).digest();
  return {
    issue({ address: worker, payee }, expiresAt) {
      const payload = Buffer.from(JSON.stringify({ worker, payee, expiresAt })).toString('base64url');
      return `${payload}.${seal(payload).toString('base64url')}`;
    },
    read(token, now) {
      const [payload = '', sealed = '', ...rest] = token.slice(0, MAX_CHARACTERS).split('.');
      const given = Buffer.from(sealed, 'base64url');
      const right = seal(payload);
      if (rest.length > 0 || given.byteLength !== right.byteLength || !timingSafeEqual(given, right)) return null;
      const claims = Claims.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
      if (!claims.success || claims.data.expiresAt <= now) return null;
      return { address: claims.data.worker, payee: claims.data.payee };
    },
  };
}
