import { createHash, randomBytes } from 'node:crypto';
import { HearthlendError } from '../../core/contract/errors.ts';
import { formatJoinLink } from '../../core/contract/joining.ts';
import type { Members } from './members.ts';

/** Invitations that wait to be used: more are no invitations any more. */
const MAX_OPEN = 10_000;

export interface Invitation {
  link: string;
  /** ms since 1970. */
  expiresAt: number;
}

/** A new invitation for one machine. Its secret is in the link alone: what is kept is its hash. @param at host:port that it leads to */
export async function invite(
  members: Members,
  { at, fingerprint, now, lastingMs }: { at: string; fingerprint: string; now: number; lastingMs: number },
): Promise<Invitation> {
  if ((await members.openInvitations(now)) >= MAX_OPEN) throw new HearthlendError('NETWORK_BUSY');
  const secret = randomBytes(32).toString('base64url');
  const expiresAt = now + lastingMs;
  await members.invite(createHash('sha256').update(secret).digest('hex'), now, expiresAt);
  return { link: formatJoinLink({ at, secret, fingerprint }), expiresAt };
}
