import { createHash } from 'node:crypto';
import { HearthlendError } from '../core/contract/errors.ts';
import type { SubmitReply } from '../core/contract/network.ts';
import { type Shard, Submission } from '../core/contract/shard.ts';
import type { Batching } from './batching.ts';
import { createChaining } from './chaining.ts';
import { type Context, letGoOfShard } from './context.ts';
import { holderOf } from './holding.ts';
import { maxHeldMs, sequelOf } from './leasing.ts';
import type { Practising } from './practising.ts';
import { receiptAfter } from './receipts.ts';
import type { Worker } from './service.ts';
import type { Staging } from './staging/staging.ts';
import type { AttemptKey, AttemptRecord, Failure, Sequel, ShardRecord } from './store.ts';
import type { Auditor } from './trust/auditor.ts';
import { checkResult } from './verify.ts';

/** Longest detail that a reply carries. */
const MAX_DETAIL = 1000;
const EXPIRED: SubmitReply = { type: 'expired' };

/** Answers results: commitment, form, audit, receipt. The same answer each time the same attempt is submitted. */
export interface Settling {
  /** @param kept see Network.submit */
  submit(worker: Worker, submission: unknown, outputs: Uint8Array, kept?: string): Promise<SubmitReply>;
  isSettling(key: AttemptKey): boolean;
  /** Answers what is under way without waiting for audits, and resolves when all of it is answered. */
  finish(): Promise<void>;
}

export function createSettling(
  context: Context,
  practising: Practising | null,
  batching: Batching,
  auditor: Auditor,
  staging: Pick<Staging, 'fault' | 'settled'>,
): Settling {
  const { store, blobs, holding, countdowns, clock, log } = context;
  const chain = createChaining(store);
  const underWay = new Map<string, { commitment: string; reply: Promise<SubmitReply> }>();
  const nameOf = ({ shardId, attempt }: AttemptKey) => `${shardId}#${attempt}`;

  async function settle(worker: Worker, submission: Submission, outputs: Uint8Array, kept?: string): Promise<SubmitReply> {
    const attempt = await store.attempt(submission);
    const record = await store.shard(submission.shardId);
    if (attempt === null || record === null || attempt.worker !== worker.address) {
      throw new HearthlendError('LEASE_UNKNOWN', { shard: submission.shardId });
    }
    if (attempt.submission !== null && attempt.submission.commitment !== submission.commitment) throw conflict(submission);
    if (attempt.reply !== null) return attempt.reply;
    if (attempt.state === 'leased') {
      if (countdowns.isOver(attempt)) return EXPIRED;
      // Nobody's practice ends earlier because a worker says that it computed for a year.
      const runMs = Math.min(submission.runMs, record.shard.limits.wallMs);
      // From here on the worker is bound, and only now is it decided whether it is audited.
      if (!(await store.commit({ ...submission, runMs }))) return (await store.attempt(submission))?.reply ?? EXPIRED;
    } else if (attempt.state !== 'submitted' && attempt.state !== 'disputed') return EXPIRED;
    countdowns.stop(attempt);
    return judge(attempt, record, submission, outputs, kept);
  }

  async function judge(
    attempt: AttemptRecord,
    record: ShardRecord,
    submission: Submission,
    outputs: Uint8Array,
    kept?: string,
  ): Promise<SubmitReply> {
    const { shard } = record;
    const digest = createHash('sha256').update(outputs).digest('hex');
    const checked = checkResult(shard, record.promptTokens, submission, outputs, digest);
    if (!checked.ok) {
      await auditor.refuse(attempt, shard, `${checked.code}: ${checked.detail}`);
      return reject(attempt, shard, checked.code, checked.detail);
    }
    if (shard.kind === 'onnx.generate' && shard.stage !== undefined) {
      const fault = await staging.fault(shard, submission);
      return fault === undefined ? accept(attempt, shard, submission, outputs, false) : reject(attempt, shard, 'RESULT_MALFORMED', fault);
    }
    const examined = await auditor.examine({ attempt, record, submission, outputs, tensors: checked.tensors });
    if ('postponed' in examined) throw new HearthlendError('CANCELLED');
    if ('refuted' in examined) return reject(attempt, shard, 'AUDIT_FAILED', examined.refuted);
    return accept(attempt, shard, submission, outputs, examined.audited, kept);
  }

  async function reject(
    attempt: AttemptRecord,
    shard: Shard,
    code: 'DIGEST_MISMATCH' | 'RESULT_MALFORMED' | 'AUDIT_FAILED',
    detail: string,
  ) {
    const reply: SubmitReply = { type: 'rejected', code, detail: detail.slice(0, MAX_DETAIL) };
    const failure =
      code === 'DIGEST_MISMATCH'
        ? { code: 'RESULT_MALFORMED', params: { shard: shard.id, detail: reply.detail } }
        : { code, params: { shard: shard.id, detail: reply.detail } };
    const sequel = await sequelOfRefusal(attempt, shard, failure);
    if (!(await store.reject(attempt, reply, failure, sequel, clock()))) return (await store.attempt(attempt))?.reply ?? EXPIRED;
    log('warn', 'result-rejected', { shard: shard.id, attempt: attempt.attempt, code, detail: reply.detail });
    if (shard.origin === 'practice') practising?.ended('failed');
    if (sequel.state === 'failed') {
      await letGoOfShard(context, shard);
      await holding.letGo(holderOf.spareShard(shard.id));
    } else {
      if (shard.origin !== 'practice') await context.jobChanged(shard.jobId);
      context.emit({ type: 'work' });
    }
    return reply;
  }

  /** A stranger's wrong result sends the shard to others; a copy that was made to be compared is wanted by nobody. */
  async function sequelOfRefusal(attempt: AttemptRecord, shard: Shard, failure: Failure): Promise<Sequel> {
    if (await isSpare(shard)) return { state: 'failed', failure };
    const ended = { ...attempt, state: 'rejected' as const, reason: 'failed' as const, failure };
    const history = await store.attemptsOf(shard.id);
    return sequelOf(
      history.map((each) => (each.attempt === attempt.attempt ? ended : each)),
      shard.origin,
    );
  }

  async function isSpare(shard: Shard): Promise<boolean> {
    return shard.origin === 'network' && (await store.isSpare(shard.id));
  }

  async function accept(
    attempt: AttemptRecord,
    shard: Shard,
    submission: Submission,
    outputs: Uint8Array,
    audited: boolean,
    kept?: string,
  ): Promise<SubmitReply> {
    const spare = await isSpare(shard);
    if (shard.origin !== 'practice' && !spare) {
      // On the disk before the job says that it is done.
      await holding.hold(holderOf.outputs(shard.jobId), [submission.commitment]);
      await blobs.putBytes(outputs, kept);
    }
    const at = clock();
    const key = { shardId: shard.id, attempt: attempt.attempt };
    const receipt = await chain(
      attempt.worker,
      (head) => receiptAfter(head, shard, attempt, submission, at),
      (next, hash) => store.accept(key, audited, next, hash, at),
    );
    if (receipt === null) {
      // Cancelled while it was looked at.
      const job = shard.origin === 'practice' ? null : await store.job(shard.jobId);
      if (job?.state === 'cancelled') await holding.letGo(holderOf.outputs(shard.jobId));
      return (await store.attempt(attempt))?.reply ?? EXPIRED;
    }
    if (shard.origin === 'practice') practising?.ended('accepted');
    if (!spare) staging.settled(shard);
    // The result stands from here on: what follows is put right at the next start where it can't be done now.
    try {
      await letGoOfShard(context, shard);
      if (spare) await holding.letGo(holderOf.spareShard(shard.id));
      await batching.added(attempt.worker);
    } catch (thrown) {
      log('error', 'not-tidied', { shard: shard.id, detail: String(thrown) });
    }
    return { type: 'accepted', receipt, audited };
  }

  return {
    async submit(worker, raw, outputs, kept) {
      const parsed = Submission.safeParse(raw);
      if (!parsed.success) throw new HearthlendError('RESULT_MALFORMED', { shard: '?', detail: parsed.error.issues[0]?.message ?? '' });
      const submission = parsed.data;
      const name = nameOf(submission);
      const running = underWay.get(name);
      if (running !== undefined) {
        if (running.commitment !== submission.commitment) throw conflict(submission);
        return running.reply;
      }
      const reply = settle(worker, submission, outputs, kept);
      underWay.set(name, { commitment: submission.commitment, reply });
      try {
        return await reply;
      } catch (thrown) {
        // Committed to, but not answered (a full disk): it is given up only if it isn't sent again for a whole lease.
        const open = thrown instanceof HearthlendError && thrown.code === 'RESULT_CONFLICT' ? null : await store.shard(submission.shardId);
        if (open?.state === 'settling') countdowns.start(submission, context.leaseMs, maxHeldMs(open.shard));
        throw thrown;
      } finally {
        underWay.delete(name);
      }
    },
    isSettling: (key) => underWay.has(nameOf(key)),
    async finish() {
      auditor.finish();
      await Promise.allSettled(Array.from(underWay.values(), (each) => each.reply));
    },
  };
}

function conflict({ shardId }: Submission): HearthlendError {
  return new HearthlendError('RESULT_CONFLICT', { shard: shardId });
}
