import { z } from 'zod';
import { SignedDelegation, WalletClaim } from './delegation.ts';
import { Sha256 } from './digest.ts';
import { IsolationLevel } from './isolation.ts';
import { Amount, AssetId } from './money.ts';
import { NetworkInfo } from './network.ts';
import { Address, Signature } from './receipt.ts';
import { NetworkId } from './shard.ts';
import { MAX_SUCCESSIONS, Succession } from './succession.ts';

/** The public key of a NATS user, as nkeys write it. */
export const WorkerNkey = z.string().regex(/^U[A-Z2-7]{55}$/);
export type WorkerNkey = z.infer<typeof WorkerNkey>;

/** How long (ms) a change of payee waits before it takes effect, where a network's terms don't say: for the wallet to notice and take it back. */
export const PAYEE_DELAY_MS = 3 * 86_400_000;

/** What a network's operator says of it before anybody joins: shown on the join page, and pinned by what was joined. */
export const NetworkTerms = z.strictObject({
  id: NetworkId,
  /** Who runs it, in their own words; nobody has checked them. */
  operator: z.string().min(1).max(200),
  contact: z.string().max(200),
  rules: z.string().max(4000),
  coordinator: Address,
  asset: AssetId,
  symbol: z.string().min(1).max(32),
  decimals: z.int().min(0).max(36),
  prices: z.array(z.strictObject({ unit: z.enum(['run', 'token']), perUnit: Amount, note: z.string().max(200) })).max(64),
  /** What the work is about; the user may refuse any of them. */
  categories: z.array(z.strictObject({ id: z.string().regex(/^[a-z0-9-]{1,64}$/), title: z.string().max(200) })).max(64),
  isolation: z.array(IsolationLevel).min(1).max(8),
  /** How long (ms) what was accepted waits before it is vouched for. */
  holdBackMs: z
    .int()
    .min(0)
    .max(90 * 86_400_000),
  /** How long (ms) a wallet's change of payee waits before it takes effect; PAYEE_DELAY_MS where left out. */
  payeeDelayMs: z
    .int()
    .min(1000)
    .max(90 * 86_400_000)
    .optional(),
  /** Where vouchers are paid, and whose escrow pays them; null: it pays nothing that is worth anything. */
  settlement: z
    .strictObject({
      chainId: z.int().min(1),
      contract: Address,
      payer: Address,
      /** How long (ms) receipts gather before a voucher covers them. */
      epochMs: z.int().min(1000).max(86_400_000).default(60_000),
    })
    .nullable(),
});
export type NetworkTerms = z.infer<typeof NetworkTerms>;

/** A coordinator's HTTPS: its terms (GET), joining, renewing, going on under a new worker key, and what wallets say of their workers (POST). It refuses with `{"error":{"code","params"}}`. */
export const JOIN_PATHS = { terms: '/v1/terms', join: '/v1/join', renew: '/v1/renew', rekey: '/v1/rekey', claims: '/v1/claims' } as const;

/** What a joining machine sends to POST /v1/join over HTTPS. */
export const JoinRequest = z.strictObject({
  /** The link's one-time secret. */
  secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  nkey: WorkerNkey,
  worker: Address,
  payee: Address,
  /** The worker identity's EIP-191 signature over `joinText`: that this key is its own. */
  signature: Signature,
  version: z.string().max(64),
  /** The wallet's word that this worker earns for it; `payee` is that wallet then. */
  delegation: SignedDelegation.optional(),
});
export type JoinRequest = z.infer<typeof JoinRequest>;

/** Whether two versions of the program understand each other: they do while what comes before the last number is the same. */
export function understands(one: string, other: string): boolean {
  const protocol = (version: string) => /^(\d+\.\d+)\./.exec(version)?.[1];
  return protocol(one) !== undefined && protocol(one) === protocol(other);
}

/** What the worker's identity signs to bind its nkey to itself. */
export function joinText(network: string, nkey: WorkerNkey, payee: Address): string {
  return `Hearthlend network ${network}\nworker key ${nkey}\npayee ${payee.toLowerCase()}`;
}

/** Whom a worker earns for, and where that is paid, as a network has it. Times in ms since 1970. */
export const Payout = z.strictObject({
  worker: Address,
  payee: Address,
  /** The wallet that has signed for the worker; null where none has, and the payee's own word counts. */
  wallet: Address.nullable(),
  /** Until when; null where nothing was signed. */
  delegatedUntil: z.int().nullable(),
  /** Why it is lent no work; null while it is. */
  stopped: z.enum(['revoked', 'expired']).nullable(),
  /** A change of payee that waits, and from when on it counts. */
  next: z.strictObject({ payee: Address, at: z.int() }).nullable(),
});
export type Payout = z.infer<typeof Payout>;

/** What is sent to POST /v1/claims, by anybody who has it; the answer is the worker's Payout. */
export const ClaimRequest = z.strictObject({ claim: WalletClaim });

/** What lets a machine connect. `jwt` is a NATS user JWT with exactly the permissions of WORKER_SUBJECTS. */
export const JoinReply = z.strictObject({
  network: NetworkInfo,
  terms: NetworkTerms,
  jwt: z.string().max(8192),
  /** ms since 1970, the coordinator's clock. */
  expiresAt: z.int(),
  now: z.int(),
  /** `tls://`, `nats://` or `wss://`; tried in order. */
  servers: z.array(z.string().max(500)).min(1).max(32),
  /** Every coordinator's HTTPS. */
  https: z.array(z.url().max(500)).min(1).max(32),
  /** The certificate authority of this network, PEM; the only one trusted for it. */
  ca: z.string().max(16_384),
  payout: Payout.optional(),
});
export type JoinReply = z.infer<typeof JoinReply>;

/** POST /v1/renew: a new JWT for a key that has joined. `signature`: the nkey's, base64, over `renewText`. */
export const RenewRequest = z.strictObject({ nkey: WorkerNkey, at: z.int(), signature: z.string().max(200) });
export type RenewRequest = z.infer<typeof RenewRequest>;
export const renewText = (network: string, { nkey, at }: Pick<RenewRequest, 'nkey' | 'at'>): string => `renew ${network} ${nkey} ${at}`;

/** POST /v1/rekey: the machine that connects with `nkey` goes on as another worker, with a key to connect of that one's own. */
export const RekeyRequest = z.strictObject({
  nkey: WorkerNkey,
  at: z.int(),
  /** Base64, the nkey's, over `rekeyText`. */
  signature: z.string().max(200),
  /** What leads from the worker that the network knows to the new one, each signed by the key that goes. */
  successions: z.array(Succession).min(1).max(MAX_SUCCESSIONS),
  /** The new worker: as a machine that joins says it. */
  successor: JoinRequest.omit({ secret: true }),
});
export type RekeyRequest = z.infer<typeof RekeyRequest>;
export const rekeyText = (network: string, { nkey, at, successor }: Pick<RekeyRequest, 'nkey' | 'at' | 'successor'>): string =>
  `rekey ${network} ${nkey} ${at}\n${joinText(network, successor.nkey, successor.payee)}\nworker ${successor.worker.toLowerCase()}`;

/** An invitation: where to join, with what, and the SHA-256 of the certificate authority (DER) that has to answer there. */
export interface JoinLink {
  /** host:port of the coordinator's HTTPS. */
  at: string;
  secret: string;
  fingerprint: Sha256;
}

/** `hearthlend://join?at=…&secret=…&sha256=…`: one text for a terminal, a QR code and the desktop app's link handler. */
export function formatJoinLink({ at, secret, fingerprint }: JoinLink): string {
  return `hearthlend://join?${new URLSearchParams({ at, secret, sha256: fingerprint })}`;
}

const JoinLinkParts = z.strictObject({
  at: z.string().regex(/^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]{1,253}):[0-9]{1,5}$/),
  secret: JoinRequest.shape.secret,
  sha256: Sha256,
});

/** Null for what is no invitation. */
export function parseJoinLink(text: string): JoinLink | null {
  const url = URL.parse(text.trim());
  if (url === null || url.protocol !== 'hearthlend:' || url.host !== 'join' || text.length > 2000) return null;
  const parts = JoinLinkParts.safeParse(Object.fromEntries(url.searchParams));
  return parts.success ? { at: parts.data.at, secret: parts.data.secret, fingerprint: parts.data.sha256 } : null;
}
