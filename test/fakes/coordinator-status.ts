import type { CoordinatorStatus, MemberRow } from '../../core/contract/operating.ts';

export const ASSET = 'eip155:1612/slip44:60';
const WHOLE = 10n ** 18n;
const half = (halves: bigint) => ((halves * WHOLE) / 2n).toString();

/** A network that pays and whose escrow is a little short. */
export function coordinatorStatus(now: number): CoordinatorStatus {
  return {
    ...{
      id: 'studio-1a2b3c4d',
      operator: 'Night Studio',
      version: '0.1.0',
      pid: 1,
      startedAt: now - 86_400_000,
      now,
      fingerprint: 'a'.repeat(64),
    },
    ...{ https: ['https://10.0.0.5:7422'], servers: ['tls://10.0.0.5:7423'], metrics: 'http://127.0.0.1:7425/metrics', ownNats: true },
    ...{ coordinators: 2, workers: { joined: 3, connected: 3, suspended: 1, revoked: 1 }, openInvitations: 1 },
    jobs: { queued: 1, running: 1, done: 12, failed: 0, cancelled: 0 },
    shards: { queued: 310, leased: 24, settling: 3 },
    audits: { valid: 812, bad: 2, undecided: 0 },
    money: [{ asset: ASSET, accepted: half(32n), forAudits: half(1n), promised: half(28n), settled: half(24n) }],
    escrow: {
      ...{ chainId: 1612, contract: `0x${'2'.repeat(40)}`, payer: `0x${'3'.repeat(40)}`, asset: ASSET, symbol: 'OPEN', decimals: 18 },
      owed: { unvouched: half(4n), heldBack: half(3n), unclaimed: half(4n), total: half(8n) },
      holds: { deposit: half(6n), thawing: half(1n), thawedAt: now + 3_600_000, earmarked: '0', earmarkThawing: '0' },
      ...{ covered: half(5n), missing: half(3n), claimed: half(24n) },
      signer: { address: `0x${'5'.repeat(40)}`, state: 'authorised', until: null },
      ...{ channels: 3, channelsRead: 3, checkedAt: now - 20_000 },
      trouble: { key: 'escrow.low', params: { missing: '1.5 OPEN', payer: `0x${'3'.repeat(40)}` } },
    },
  };
}

export function memberRow(number: number, change: Partial<MemberRow> = {}): MemberRow {
  const digit = number.toString(16);
  return {
    ...{ worker: `0x${digit.repeat(40)}`, nkey: `U${'ABCDEFG'[number]?.repeat(55)}`, payee: `0x${'9'.repeat(40)}`, version: '0.1.0' },
    ...{
      joinedAt: number,
      revokedAt: null,
      open: 0,
      accepted: 0,
      audits: { valid: 30, bad: 0, undecided: 0 },
      suspendedUntil: null,
      earned: [],
    },
    ...change,
  };
}
