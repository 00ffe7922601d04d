import { createHash } from 'node:crypto';
import { fromPublic } from '@nats-io/nkeys';
import { getAddress, verifyMessage } from 'ethers';
import { type ErrorCode, HearthlendError } from '../../core/contract/errors.ts';
import {
  JOIN_PATHS,
  type JoinReply,
  JoinRequest,
  joinText,
  type NetworkTerms,
  RenewRequest,
  renewText,
  understands,
  type WorkerNkey,
} from '../../core/contract/joining.ts';
import { type ContractAccepts, delegatedPayee } from '../joining/delegations.ts';
import type { MemberChanges, Members } from '../joining/members.ts';
import { type PayoutChanges, type PayoutReads, payoutAt, payoutOf, stoppedWhy } from '../joining/payouts.ts';
import type { SuccessorChanges, SuccessorReads } from '../joining/successors.ts';
import type { Worker, WorkerService } from '../service.ts';
import type { Appends } from '../store.ts';
import { answerJson, readJson } from './answer.ts';
import { HTTPS_LIMITS } from './limits.ts';
import type { Route } from './server.ts';

export interface JoiningOptions {
  terms: NetworkTerms;
  version: string;
  members: Members & SuccessorReads & PayoutReads & Appends<SuccessorChanges & PayoutChanges>;
  service: Pick<WorkerService, 'connect'>;
  /** A JWT for a key, until then. */
  mint(nkey: WorkerNkey, expiresAt: number): Promise<string>;
  jwtMs: number;
  servers(): string[];
  https(): string[];
  ca: string;
  clock(): number;
  /** Asks wallets that are contracts; without it only those that are keys delegate. */
  contractAccepts?: ContractAccepts;
}

/** A request to renew is dated; one from further away is no request of now, or of a clock that is wrong. */
const MAX_SKEW_MS = 10 * 60_000;

const REFUSED: Record<Exclude<ReturnType<MemberChanges['join']>, 'joined'>, ErrorCode> = {
  unknown: 'INVITE_UNKNOWN',
  used: 'INVITE_USED',
  expired: 'INVITE_EXPIRED',
  revoked: 'NETWORK_REVOKED',
  'other-payee': 'NETWORK_PAYEE_FIXED',
  'delegation-revoked': 'NETWORK_DELEGATION_INVALID',
};

/** What a machine asks of a network before it can connect, and when its time is nearly up. */
export function joiningRoutes(options: JoiningOptions): Route[] {
  const { terms } = options;
  return [
    {
      methods: ['GET', 'HEAD'],
      path: JOIN_PATHS.terms,
      name: 'terms',
      rate: { atOnce: 100, perSecond: 10 },
      answer: (_request, response) => answerJson(response, 200, terms),
    },
    {
      methods: ['POST'],
      path: JOIN_PATHS.join,
      name: 'join',
      rate: { atOnce: 60, perSecond: 5 },
      async answer(request, response) {
        answerJson(response, 200, await join(options, parse(JoinRequest, await readJson(request, HTTPS_LIMITS.joinBytes))));
      },
    },
    {
      methods: ['POST'],
      path: JOIN_PATHS.renew,
      name: 'renew',
      rate: { atOnce: 60, perSecond: 5 },
      async answer(request, response) {
        answerJson(response, 200, await renew(options, parse(RenewRequest, await readJson(request, HTTPS_LIMITS.joinBytes))));
      },
    },
  ];
}

export function parse<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: { issues: { path: PropertyKey[] }[] } } },
  value: unknown,
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
  throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: where === '' ? 'not what is asked for here' : where });
}

/** @throws INVITE_*, NETWORK_VERSION, NETWORK_SIGNATURE_INVALID, NETWORK_DELEGATION_INVALID, NETWORK_REVOKED */
async function join(options: JoiningOptions, request: JoinRequest): Promise<JoinReply> {
  const { terms, members, version, clock } = options;
  if (!understands(request.version, version)) throw new HearthlendError('NETWORK_VERSION', { running: version, version: request.version });
  const worker = getAddress(request.worker);
  // Before the invitation is used up by what could not be anybody.
  if (signer(joinText(terms.id, request.nkey, request.payee), request.signature) !== worker || !isKey(request.nkey)) {
    throw new HearthlendError('NETWORK_SIGNATURE_INVALID');
  }
  const { nkey, delegation } = request;
  const asked = { worker, payee: request.payee, networkKey: terms.coordinator, now: clock() };
  const payee = delegation === undefined ? request.payee : await delegatedPayee(delegation, asked, options.contractAccepts ?? null);
  const secretHash = createHash('sha256').update(request.secret).digest('hex');
  const outcome = await members.join(secretHash, { nkey, worker, payee, version: request.version }, clock(), delegation ?? null);
  if (outcome !== 'joined') {
    const known = outcome === 'other-payee' ? await members.payout(worker) : null;
    throw new HearthlendError(REFUSED[outcome], known === null ? { detail: 'revoked' } : { payee: payoutAt(known, clock()).payee });
  }
  return admit(options, nkey, { address: worker, payee });
}

/** @throws NETWORK_MEMBER_UNKNOWN, NETWORK_REVOKED, NETWORK_CLOCK_SKEW, NETWORK_SIGNATURE_INVALID */
async function renew(options: JoiningOptions, request: RenewRequest): Promise<JoinReply> {
  const { nkey, at, signature } = request;
  if (!signedBy(nkey, renewText(options.terms.id, request), signature)) throw new HearthlendError('NETWORK_SIGNATURE_INVALID');
  requireOfNow(at, options.clock());
  return admit(options, nkey, await workerOf(options.members, nkey, options.clock()));
}

/** @throws NETWORK_CLOCK_SKEW */
export function requireOfNow(at: number, now: number): void {
  const apart = Math.abs(at - now);
  if (apart > MAX_SKEW_MS) throw new HearthlendError('NETWORK_CLOCK_SKEW', { seconds: Math.round(apart / 1000) });
}

/** The worker that a key belongs to, and whom it earns for now. @throws NETWORK_MEMBER_UNKNOWN, NETWORK_REVOKED */
export async function workerOf(members: Members & PayoutReads, nkey: WorkerNkey, now: number): Promise<Worker> {
  const member = await members.member(nkey);
  if (member === null) throw new HearthlendError('NETWORK_MEMBER_UNKNOWN');
  if (member.revokedAt !== null) throw new HearthlendError('NETWORK_REVOKED');
  const record = await members.payout(member.worker);
  if (record === null) return { address: member.worker, payee: member.payee };
  const { payee, former } = payoutAt(record, now);
  return { address: member.worker, payee, former, stopped: stoppedWhy(record, now) };
}

export async function admit(options: JoiningOptions, nkey: WorkerNkey, worker: Worker): Promise<JoinReply> {
  const { terms, ca, service, mint, jwtMs, servers, https, clock } = options;
  const now = clock();
  const expiresAt = Math.floor((now + jwtMs) / 1000) * 1000;
  const network = await service.connect(worker);
  const record = await options.members.payout(worker.address);
  const payout = record === null ? {} : { payout: payoutOf(record, now) };
  return { ...payout, network, terms, jwt: await mint(nkey, expiresAt), expiresAt, now, servers: servers(), https: https(), ca };
}

function signer(text: string, signature: string): string | null {
  try {
    return verifyMessage(text, signature);
  } catch {
    return null;
  }
}

export function isKey(nkey: WorkerNkey): boolean {
  try {
    return fromPublic(nkey).getPublicKey() === nkey;
  } catch {
    return false;
  }
}

export function signedBy(nkey: WorkerNkey, text: string, signature: string): boolean {
  try {
    return fromPublic(nkey).verify(new TextEncoder().encode(text), Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}
