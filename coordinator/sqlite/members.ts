import type { Member, MemberChanges, MemberReads } from '../joining/members.ts';
import { payoutAtJoining } from '../joining/payouts.ts';
import type { SqliteChanges } from './change.ts';
import type { OpenDatabase } from './open.ts';
import type { PayoutBook } from './payouts.ts';

interface MemberRow {
  nkey: string;
  worker: string;
  payee: string;
  version: string;
  joined_at: number;
  revoked_at: number | null;
  revoked_why: Member['revokedWhy'];
}

/** Invitations are forgotten so long after their end; until then who uses one is told that it is over. */
const KEPT_MS = 30 * 86_400_000;

/** @param payouts where whom workers earn for is on record */
export function sqliteMembers(
  { db, read }: OpenDatabase,
  payouts: PayoutBook,
): { reads: MemberReads; changes: SqliteChanges<MemberChanges> } {
  const selectMember = db.prepare<[string], MemberRow>('SELECT * FROM members WHERE nkey = ?');
  const selectCurrent = db.prepare<[string], { nkey: string }>('SELECT nkey FROM members WHERE worker = ? AND revoked_at IS NULL');
  const selectMembers = db.prepare<[], MemberRow>('SELECT * FROM members ORDER BY joined_at, nkey');
  const selectRevoked = db.prepare<[number], MemberRow>('SELECT * FROM members WHERE revoked_at >= ? ORDER BY revoked_at, nkey');
  const countOpen = db.prepare<[number], { open: number }>(
    'SELECT count(*) AS open FROM invitations WHERE nkey IS NULL AND expires_at > ?',
  );
  const selectInvitation = db.prepare<[string], { expires_at: number; nkey: string | null }>(
    'SELECT expires_at, nkey FROM invitations WHERE secret_hash = ?',
  );
  const insertInvitation = db.prepare('INSERT OR IGNORE INTO invitations (secret_hash, created_at, expires_at) VALUES (?, ?, ?)');
  const forgetInvitations = db.prepare('DELETE FROM invitations WHERE expires_at < ?');
  const useInvitation = db.prepare('UPDATE invitations SET nkey = ? WHERE secret_hash = ?');
  // Or gone on under another key: who has the old one, has stolen it.
  const selectBanned = db.prepare<{ worker: string }, unknown>(
    "SELECT 1 FROM members WHERE worker = :worker AND revoked_why = 'revoked' UNION ALL SELECT 1 FROM successors WHERE former = :worker",
  );
  const insertMember = db.prepare('INSERT INTO members (nkey, worker, payee, version, joined_at) VALUES (?, ?, ?, ?, ?)');
  const replaceOthers = db.prepare(
    "UPDATE members SET revoked_at = ?, revoked_why = 'replaced' WHERE worker = ? AND nkey <> ? AND revoked_at IS NULL",
  );
  const revokeWorker = db.prepare("UPDATE members SET revoked_at = ?, revoked_why = 'revoked' WHERE worker = ? AND revoked_at IS NULL");

  return {
    reads: {
      async member(nkey) {
        const row = read(() => selectMember.get(nkey));
        return row === undefined ? null : memberOf(row);
      },
      async nkeyOf(worker) {
        return read(() => selectCurrent.get(worker))?.nkey ?? null;
      },
      async members() {
        return read(() => selectMembers.all()).map(memberOf);
      },
      async revokedSince(at) {
        return read(() => selectRevoked.all(at)).map(memberOf);
      },
      async openInvitations(at) {
        return read(() => countOpen.get(at))?.open ?? 0;
      },
    },
    changes: {
      invite: {
        durable: 'at once',
        apply(secretHash, createdAt, expiresAt) {
          forgetInvitations.run(createdAt - KEPT_MS);
          insertInvitation.run(secretHash, createdAt, expiresAt);
        },
      },
      join: {
        durable: 'at once',
        apply(secretHash, { nkey, worker, payee, version }, at, delegation = null) {
          const invitation = selectInvitation.get(secretHash);
          if (invitation === undefined) return 'unknown';
          const known = selectMember.get(nkey);
          // The answer may have been lost: the same machine asks again with the same key.
          if (invitation.nkey === nkey && known !== undefined) return known.revoked_at === null ? 'joined' : 'revoked';
          if (invitation.nkey !== null) return 'used';
          if (at >= invitation.expires_at) return 'expired';
          if (known !== undefined || selectBanned.get({ worker }) !== undefined) return 'revoked';
          const paid = payoutAtJoining(payouts.find(worker), { worker, payee, delegation }, at);
          if (typeof paid === 'string') return paid;
          payouts.put(paid);
          insertMember.run(nkey, worker, payee, version, at);
          replaceOthers.run(at, worker, nkey);
          useInvitation.run(nkey, secretHash);
          return 'joined';
        },
      },
      revoke: {
        durable: 'at once',
        apply: (worker, at) => revokeWorker.run(at, worker).changes > 0,
      },
    },
  };
}

function memberOf(row: MemberRow): Member {
  const { nkey, worker, payee, version } = row;
  return { nkey, worker, payee, version, joinedAt: row.joined_at, revokedAt: row.revoked_at, revokedWhy: row.revoked_why };
}
