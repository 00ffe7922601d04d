import type { Account, User } from '@nats-io/jwt';
import { type WorkerNkey, WorkerNkey as WorkerNkeySchema } from '../../core/contract/joining.ts';
import { INLINE_BYTES, WORKER_FRAME_LIMITS, WORKER_SUBJECTS } from '../../core/contract/worker-calls.ts';

/** The queue group that the coordinators of one network answer in: each call goes to one of them. */
export const ANSWERING_GROUP = 'coordinators';
/** What the answering connection hears: every call of every worker. */
export const EVERY_CALL = 'w.>';
const EVERY_INBOX = '_INBOX.*.>';

/** The largest message of a worker: a whole frame, its header and its outputs. */
export const MAX_PAYLOAD_BYTES = 2 ** 20;
if (WORKER_FRAME_LIMITS.headerBytes + INLINE_BYTES + 8 > MAX_PAYLOAD_BYTES) throw new Error('a frame does not fit into a message');

/** A worker has one subscription for all its replies and events; a client library may hold another while it reconnects. */
const WORKER_SUBSCRIPTIONS = 16;

/** No account sends messages to, or has them from, another one; `-1` is without a bound. */
const CLOSED = { imports: 0, exports: 0, wildcards: true, leaf: 0, disallow_bearer: true };
const NO_JETSTREAM = { mem_storage: 0, disk_storage: 0, streams: 0, consumer: 0 };

/** The workers' account: no JetStream, no way out of it; `revocations` are seconds since 1970 by public key. Source: jwt v2 of nats-io. */
export function workersAccount(maxConnections: number, revocations: Readonly<Record<WorkerNkey, number>>): Partial<Account> {
  return {
    limits: { ...CLOSED, ...NO_JETSTREAM, conn: maxConnections, subs: -1, data: -1, payload: MAX_PAYLOAD_BYTES },
    revocations: { ...revocations },
  };
}

/** The coordinators' own account: JetStream, and nobody else in it. */
export function storeAccount(): Partial<Account> {
  return {
    limits: { ...CLOSED, conn: 64, subs: -1, data: -1, payload: -1, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 },
  };
}

/** The account of nats-server's own events. Nobody is in it for longer than it takes to tell the server of a revocation. */
export function systemAccount(): Partial<Account> {
  return { limits: { ...CLOSED, ...NO_JETSTREAM, conn: 4, subs: -1, data: -1, payload: -1 } };
}

/** Where a server takes an account's new JWT. Source: nats-server, server/events.go, accUpdateEventSubjNew. */
export const accountUpdate = (account: string): string => `$SYS.REQ.ACCOUNT.${account}.CLAIMS.UPDATE`;

/** The connection that tells a server of an account's new JWT, and nothing else. */
export function updatingUser(account: string): Partial<User> {
  return {
    pub: { allow: [accountUpdate(account)] },
    sub: { deny: ['>'] },
    subs: 1,
    data: -1,
    payload: -1,
    allowed_connection_types: ['STANDARD'],
  };
}

/** A worker: it may publish its own calls and hear its own inbox, and nothing else. @throws where `nkey` is no key: it is part of subjects */
export function workerUser(nkey: WorkerNkey): Partial<User> {
  const worker = WorkerNkeySchema.parse(nkey);
  return {
    pub: { allow: [WORKER_SUBJECTS.publish(worker)] },
    sub: { allow: [WORKER_SUBJECTS.subscribe(worker)] },
    subs: WORKER_SUBSCRIPTIONS,
    data: -1,
    payload: MAX_PAYLOAD_BYTES,
    allowed_connection_types: ['STANDARD', 'WEBSOCKET'],
  };
}

/** The connection that answers workers: it hears calls as one of the group and writes into inboxes, and nothing else. */
export function answeringUser(): Partial<User> {
  return {
    pub: { allow: [EVERY_INBOX] },
    sub: { allow: [`${EVERY_CALL} ${ANSWERING_GROUP}`] },
    subs: 4,
    data: -1,
    payload: MAX_PAYLOAD_BYTES,
    allowed_connection_types: ['STANDARD', 'WEBSOCKET'],
  };
}

/** The connection that holds queue and state. */
export function storeUser(): Partial<User> {
  return { subs: -1, data: -1, payload: -1, allowed_connection_types: ['STANDARD', 'WEBSOCKET'] };
}
