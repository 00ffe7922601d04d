import { performance } from 'node:perf_hooks';
import { Ahead } from '../contract/ahead.ts';
import type { AuditReport } from '../contract/audits.ts';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import { ref } from '../contract/messages.ts';
import type {
  HeldAttempt,
  LeaseReply,
  LeaseRequest,
  Network,
  NetworkEvent,
  NetworkInfo,
  StageReply,
  SubmitReply,
} from '../contract/network.ts';
import type { Lease, Submission } from '../contract/shard.ts';
import { INLINE_BYTES } from '../contract/worker-calls.ts';
import { Blobs } from './blobs.ts';
import { Connection, type Link } from './connection.ts';
import type { JoinedNetwork } from './records.ts';
import { createRenewing } from './renewing.ts';

export interface NatsNetworkOptions {
  /** What is on record of it; asked at each use, since it is renewed. */
  record(): JoinedNetwork;
  save(record: JoinedNetwork): void;
  version: string;
  clock(): number;
  /** What has to be done before it is connected to: the network may have to be told of a new key. */
  prepare?(): Promise<void>;
  /** Whether a task's receipt may name this payee. */
  mayBePaid(payee: string): boolean;
  onLink(link: Link): void;
  /** What it says of itself, at each connection. */
  onInfo(info: NetworkInfo): void;
}

/** A joined network, and whether it is to be reached just now. */
export interface NatsNetwork extends Network {
  link(): Link;
  /** The next leases to be run, where some are here already: what they pay is known exactly. */
  ahead(): readonly Lease[];
  /** Asks anew what it pays and accepts. @throws NETWORK_* */
  refresh(): Promise<void>;
  /** How this machine stands there. @throws NETWORK_* */
  audits(): Promise<AuditReport>;
  /** It must not be asked to go on: no more connecting, what lies ahead is given back. */
  close(): Promise<void>;
}

const SHORTEST_BEAT_MS = 1000;

/** A network behind NATS. */
export function createNatsNetwork(options: NatsNetworkOptions): NatsNetwork {
  const { record, clock, version } = options;
  const { id } = record();
  const steady = () => performance.now();
  const listeners = new Set<(event: NetworkEvent) => void>();
  const emit = (event: NetworkEvent) => {
    for (const listener of listeners) listener(event);
  };
  /** What is lent to this machine, as far as it knows. */
  const held = new Map<string, HeldAttempt>();
  const ahead = new Ahead();
  const renewing = createRenewing(options);
  let link: Link = { state: 'connecting' };
  let worker: { address: string; payee: string } | null = null;
  let opened = false;
  let refilling: Promise<void> | null = null;
  let beating: NodeJS.Timeout | undefined;

  const connection = new Connection({
    network: id,
    get nkey() {
      return record().nkey;
    },
    get seed() {
      return record().seed;
    },
    version,
    ...(options.prepare === undefined ? {} : { prepare: options.prepare }),
    get ca() {
      return record().access.ca;
    },
    jwt: () => record().access.jwt,
    servers: () => record().access.servers,
    async greet(call) {
      // Whatever else it has lent went with an answer that never arrived, and goes back at once.
      tell(await call('connect', { version, holds: [...held.values()] }));
    },
    onRefused: () => renewing.renew(),
    onLink(next) {
      link = next;
      options.onLink(next);
      if (next.state !== 'connected') return;
      emit({ type: 'work' });
      // What was promised while nobody listened.
      emit({ type: 'voucher' });
    },
    onEvent(event) {
      if (event.type === 'revoked') {
        ahead.drop(event.shardId, event.attempt);
        held.delete(keyOf(event));
      }
      emit(event);
    },
  });
  const blobs = new Blobs({
    network: id,
    ca: () => record().access.ca,
    clock,
    async access() {
      const { token, expiresAt, urls } = await connection.call('blobAccess', {});
      return { token, expiresAt: expiresAt - record().aheadMs, urls };
    },
  });

  /** It may change what it pays and which isolation it accepts; who it is may not change. */
  function tell(info: NetworkInfo): NetworkInfo {
    const { network } = record().access;
    if (info.id !== id || info.coordinator.toLowerCase() !== network.coordinator.toLowerCase() || info.asset !== network.asset) {
      throw new HearthlendError('NETWORK_ANSWER_INVALID', { network: id, detail: 'it is another network than the one that was joined' });
    }
    // Strangers are strangers, whatever they say.
    const known = { ...info, sameTrustDomain: false };
    options.onInfo(known);
    return known;
  }

  async function askForLeases(request: LeaseRequest, count: number): Promise<LeaseReply> {
    const at = steady();
    const reply = await connection.call('lease', { ...request, count });
    ahead.answered(steady() - at);
    if (reply.type === 'no-work') return reply;
    const leases = [reply.lease, ...(reply.further ?? [])];
    if (leases.length > count) throw doubtful(`it lent ${leases.length} where ${count} were asked for`);
    for (const lease of leases) {
      if (lease.shard.network !== id || lease.shard.origin !== 'network') throw doubtful('it lent a task of another network');
      if (lease.payee !== undefined && !options.mayBePaid(lease.payee)) throw doubtful(`it would pay ${lease.payee} for it`);
      if (held.has(keyOf({ shardId: lease.shard.id, attempt: lease.attempt }))) {
        throw new HearthlendError('LEASE_DOUBLED', { network: id, shard: lease.shard.id });
      }
      held.set(keyOf({ shardId: lease.shard.id, attempt: lease.attempt }), { shardId: lease.shard.id, attempt: lease.attempt });
    }
    return reply;
  }

  function doubtful(detail: string): HearthlendError {
    return new HearthlendError('NETWORK_ANSWER_INVALID', { network: id, detail });
  }

  function refill(request: LeaseRequest): void {
    if (refilling !== null || !ahead.runsLow() || link.state !== 'connected') return;
    // A stage begins at once or not at all: by the time that this is asked for there may be no room for another.
    refilling = askForLeases({ ...request, stages: 0 }, ahead.count())
      .then((reply) => {
        if (reply.type === 'lease') ahead.add([reply.lease, ...(reply.further ?? [])]);
        beat();
      })
      // Whoever asks next is told.
      .catch(() => undefined)
      .finally(() => {
        refilling = null;
      });
  }

  /** What lies ahead is kept alive by itself: what runs may be another network's. */
  function beat(): void {
    clearTimeout(beating);
    const [next] = ahead.leases();
    if (next === undefined) return;
    beating = setTimeout(
      () => {
        if (ahead.isIdle(steady())) void network.dropAhead?.('stopped');
        else if (link.state === 'connected') {
          network.progress(next.shard.id, next.attempt, null).catch(() => undefined);
        }
        beat();
      },
      Math.max(SHORTEST_BEAT_MS, Math.floor(next.leaseMs / 3)),
    );
  }

  async function giveBack(leases: readonly Lease[], reason: 'paused' | 'stopped'): Promise<void> {
    for (const { shard, attempt } of leases) held.delete(keyOf({ shardId: shard.id, attempt }));
    if (link.state !== 'connected') return;
    // One that is not heard of goes back with the next connection, or when its time is up.
    await Promise.allSettled(
      leases.map(({ shard, attempt }) => connection.call('release', { shardId: shard.id, attempt, reason, code: null })),
    );
  }

  const network: NatsNetwork = {
    id,
    link: () => link,
    ahead: () => ahead.leases(),
    async connect({ address, payee, holds = [] }) {
      worker = { address, payee };
      for (const { shardId, attempt } of holds) held.set(keyOf({ shardId, attempt }), { shardId, attempt });
      if (!opened) {
        opened = true;
        renewing.start();
        await connection.open();
      }
      return record().access.network;
    },
    async refresh() {
      if (worker !== null && link.state === 'connected') tell(await connection.call('connect', { version }));
    },
    async lease(request) {
      if (ahead.isStale(request)) await network.dropAhead?.('stopped');
      const now = ahead.take(steady());
      if (now !== undefined) {
        refill(request);
        beat();
        return { type: 'lease', lease: now };
      }
      // Some are on their way already.
      if (refilling !== null) {
        await refilling;
        if (ahead.size > 0) return network.lease(request);
      }
      if (link.state !== 'connected') return { type: 'no-work', reason: ref('network.not-connected', { network: id }), retryMs: null };
      const reply = await askForLeases(request, ahead.count());
      if (reply.type === 'no-work') {
        ahead.ranDry();
        return reply;
      }
      ahead.handedOut(steady());
      ahead.add(reply.further ?? []);
      beat();
      return { type: 'lease', lease: reply.lease };
    },
    async progress(shardId, attempt, fraction, made) {
      const { held: still } = await connection.call('progress', { shardId, attempt, fraction, ...(made === undefined ? {} : { made }) });
      if (!still) {
        held.delete(keyOf({ shardId, attempt }));
        ahead.drop(shardId, attempt);
      }
      return still;
    },
    async exchange(shardId, attempt, step, outputs) {
      const asked = { shardId, attempt, step, handed: outputs !== null };
      const bytes = outputs?.byteLength ?? 0;
      const of = Math.ceil(bytes / INLINE_BYTES);
      for (let index = 0; index < of - 1; index += 1) {
        const piece = outputs?.subarray(index * INLINE_BYTES, (index + 1) * INLINE_BYTES);
        await connection.call('exchange', { ...asked, part: { index, of } }, piece);
      }
      const last = of > 1 ? { ...asked, part: { index: of - 1, of } } : asked;
      const reply: StageReply = await connection.call('exchange', last, outputs?.subarray(Math.max(0, of - 1) * INLINE_BYTES));
      return reply;
    },
    fetchBlob: (digest, offset) => blobs.fetch(digest, offset),
    async submit(submission: Submission, outputs: Uint8Array): Promise<SubmitReply> {
      const inline = outputs.byteLength <= INLINE_BYTES;
      if (!inline) await blobs.put(submission.commitment, outputs);
      const reply = await connection.call('submit', { submission, inline }, inline ? outputs : undefined);
      held.delete(keyOf(submission));
      return reply;
    },
    async release(shardId, attempt, reason, code, params = {}) {
      held.delete(keyOf({ shardId, attempt }));
      const bounded = Object.fromEntries(
        Object.entries(params)
          .slice(0, 32)
          .map(([name, value]) => [name.slice(0, 64), typeof value === 'string' ? value.slice(0, 1000) : value]),
      );
      await connection.call('release', { shardId, attempt, reason, code: code?.slice(0, 64) ?? null, params: bounded });
    },
    async dropAhead(reason) {
      clearTimeout(beating);
      await refilling;
      await giveBack(ahead.empty(), reason);
    },
    async receiptsSince(sequence) {
      const receipts = [];
      for (let from = sequence; ; ) {
        const page = await connection.call('receiptsSince', { sequence: from });
        receipts.push(...page);
        const last = page.at(-1)?.sequence ?? 0;
        if (page.length < PAGE || last <= from) return receipts;
        from = last;
      }
    },
    pendingBatches: ({ leaving } = { leaving: false }) => connection.call('pendingBatches', { leaving }),
    audits: () => connection.call('audits', {}),
    vouchers: (last, worker, payee) =>
      connection.call('vouchers', { last, ...(worker === undefined ? {} : { worker }), ...(payee === undefined ? {} : { payee }) }),
    async countersign({ last }, signature) {
      await connection.call('countersign', { last, signature });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      renewing.stop();
      await network.dropAhead?.('stopped').catch((thrown: unknown) => void asHearthlendError(thrown));
      clearTimeout(beating);
      await connection.close();
      listeners.clear();
    },
  };
  return network;
}

/** As many receipts as one answer holds at most. */
const PAGE = 128;

function keyOf({ shardId, attempt }: HeldAttempt): string {
  return `${shardId}#${attempt}`;
}
