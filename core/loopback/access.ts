import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Scope } from '../contract/rpc.ts';
import type { AuthenticateRequest } from '../contract/session.ts';

const SECRET_BYTES = 32;
/** Outstanding codes, and pages let in: enough for any person, and a bound. The oldest goes first. */
const MAX_CODES = 16;
const MAX_SESSIONS = 64;

export interface Access {
  /** What the endpoint file holds, for the owner's command line. */
  readonly ownerToken: string;
  /** A new single-use code for a page. `onGone` is called once, when it was used or is too old. */
  issueCode(onGone: () => void): string;
  /** Lets a caller in, or not (undefined). A code is spent by this; a page never gets the owner's scope. */
  admit(credential: AuthenticateRequest['authenticate'], caller: 'program' | 'page'): { scope: Scope; token: string } | undefined;
  /** Forgets every code and session. */
  close(): void;
}

/** Who may come in. Everything is held in memory only, as digests, and compared in constant time. `codeMs`: how long a code is good for. */
export function createAccess(codeMs: number): Access {
  const ownerToken = newSecret();
  const ownerDigest = digestOf(ownerToken);
  const codes = new Set<{ digest: Buffer; gone: () => void }>();
  const sessions = new Set<Buffer>();

  function admitCode(code: string): { scope: Scope; token: string } | undefined {
    const digest = digestOf(code);
    for (const entry of codes) {
      if (!timingSafeEqual(entry.digest, digest)) continue;
      entry.gone();
      const token = newSecret();
      sessions.add(digestOf(token));
      for (const oldest of overflow(sessions, MAX_SESSIONS)) sessions.delete(oldest);
      return { scope: 'screen', token };
    }
    return undefined;
  }

  return {
    ownerToken,
    issueCode: (onGone) => {
      const code = newSecret();
      const entry = {
        digest: digestOf(code),
        gone: () => {
          clearTimeout(timer);
          if (codes.delete(entry)) onGone();
        },
      };
      const timer = setTimeout(entry.gone, codeMs).unref();
      codes.add(entry);
      for (const oldest of overflow(codes, MAX_CODES)) oldest.gone();
      return code;
    },
    admit: (credential, caller) => {
      if ('code' in credential) return admitCode(credential.code);
      const digest = digestOf(credential.token);
      if (timingSafeEqual(ownerDigest, digest)) return caller === 'program' ? { scope: 'owner', token: credential.token } : undefined;
      for (const session of sessions) if (timingSafeEqual(session, digest)) return { scope: 'screen', token: credential.token };
      return undefined;
    },
    close: () => {
      for (const entry of codes) entry.gone();
      sessions.clear();
    },
  };
}

function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** What a set holds beyond its limit, oldest first. */
function overflow<T>(set: Set<T>, limit: number): T[] {
  return [...set].slice(0, Math.max(0, set.size - limit));
}
