import { createHash } from 'node:crypto';
import { HearthlendError } from '../core/contract/errors.ts';
import type { ReferenceWorker } from '../core/contract/jobs.ts';
import { ModelManifest } from '../core/contract/model.ts';
import type { SubmitReply } from '../core/contract/network.ts';
import { type Shard, Submission } from '../core/contract/shard.ts';
import type { Tensors } from '../core/contract/tensor.ts';
import { drawsAudit } from './audit.ts';
import { auditResult, type Verdict } from './auditing.ts';
import type { Batching } from './batching.ts';
import { createChaining } from './chaining.ts';
import { type Context, letGoOfShard } from './context.ts';
import { holderOf } from './holding.ts';
import { maxHeldMs, sequelOf } from './leasing.ts';
import type { Practising } from './practising.ts';
import { receiptAfter } from './receipts.ts';
import type { Worker } from './service.ts';
import type { AttemptKey, AttemptRecord, ShardRecord } from './store.ts';
import { checkResult } from './verify.ts';

/** Longest detail that a reply carries. */
const MAX_DETAIL = 1000;
const EXPIRED: SubmitReply = { type: 'expired' };

/** Answers results: commitment, form, audit, receipt. The same answer each time the same attempt is submitted. */
export interface Settling {
  submit(worker: Worker, submission: unknown, outputs: Uint8Array): Promise<SubmitReply>;
  isSettling(key: AttemptKey): boolean;
  /** Answers what is under way without waiting for audits, and resolves when all of it is answered. */
  finish(): Promise<void>;
}

export interface AuditPolicy {
  reference: ReferenceWorker;
  probability: number;
  /** How long one computation of the reference may take. */
  limitMs: number;
  /** Uniform in [0, 1). */
  random: () => number;
}

export function createSettling(context: Context, practising: Practising | null, batching: Batching, policy: AuditPolicy): Settling {
  const { store, blobs, holding, countdowns, clock, log } = context;
  const chain = createChaining(store);
  const underWay = new Map<string, { commitment: string; reply: Promise<SubmitReply> }>();
  const finishing = new AbortController();
  const nameOf = ({ shardId, attempt }: AttemptKey) => `${shardId}#${attempt}`;

  async function settle(worker: Worker, submission: Submission, outputs: Uint8Array): Promise<SubmitReply> {
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
    return judge(attempt, record, submission, outputs);
  }

  async function judge(attempt: AttemptRecord, record: ShardRecord, submission: Submission, outputs: Uint8Array): Promise<SubmitReply> {
    const { shard } = record;
    const digest = createHash('sha256').update(outputs).digest('hex');
    const checked = checkResult(shard, record.promptTokens, submission, outputs, digest);
    if (!checked.ok) return reject(attempt, shard, checked.code, checked.detail);
    const drawn = await store.drawAudit(attempt, drawsAudit(shard.origin, policy.probability, policy.random()));
    const verdict = drawn ? await audit(attempt, shard, checked.tensors, submission.backend !== 'cpu') : undefined;
    if (verdict?.type === 'refuted') return reject(attempt, shard, 'AUDIT_FAILED', verdict.detail);
    return accept(attempt, shard, submission, outputs, verdict?.type === 'agrees');
  }

  async function audit(attempt: AttemptRecord, shard: Shard, claimed: Tensors, across: boolean): Promise<Verdict> {
    const manifest = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(shard.model.digest))));
    const files = new Map<string, string>();
    for (const file of manifest.files) files.set(file.path, await blobs.path(file.digest));
    const inputs = await blobs.read(shard.inputs.digest);
    const onDispute = () => store.dispute(attempt);
    const task = { shard, model: { manifest, files }, inputs, claimed, across, onDispute, signal: finishing.signal };
    return auditResult(policy.reference, task, policy.limitMs, log);
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
    const history = await store.attemptsOf(shard.id);
    const ended = { ...attempt, reason: 'failed' as const, failure };
    const sequel = sequelOf(history.map((each) => (each.attempt === attempt.attempt ? ended : each)));
    if (!(await store.reject(attempt, reply, failure, sequel, clock()))) return (await store.attempt(attempt))?.reply ?? EXPIRED;
    log('warn', 'result-rejected', { shard: shard.id, attempt: attempt.attempt, code, detail: reply.detail });
    if (shard.origin === 'practice') practising?.ended('failed');
    if (sequel.state === 'failed') await letGoOfShard(context, shard);
    else {
      if (shard.origin !== 'practice') await context.jobChanged(shard.jobId);
      context.emit({ type: 'work' });
    }
    return reply;
  }

  async function accept(
    attempt: AttemptRecord,
    shard: Shard,
    submission: Submission,
    outputs: Uint8Array,
    audited: boolean,
  ): Promise<SubmitReply> {
    if (shard.origin !== 'practice') {
      // On the disk before the job says that it is done.
      await holding.hold(holderOf.outputs(shard.jobId), [submission.commitment]);
      await blobs.putBytes(outputs);
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
    // The result stands from here on: what follows is put right at the next start where it can't be done now.
    try {
      await letGoOfShard(context, shard);
      await batching.added(attempt.worker);
    } catch (thrown) {
      log('error', 'not-tidied', { shard: shard.id, detail: String(thrown) });
    }
    return { type: 'accepted', receipt, audited };
  }

  return {
    async submit(worker, raw, outputs) {
      const parsed = Submission.safeParse(raw);
      if (!parsed.success) throw new HearthlendError('RESULT_MALFORMED', { shard: '?', detail: parsed.error.issues[0]?.message ?? '' });
      const submission = parsed.data;
      const name = nameOf(submission);
      const running = underWay.get(name);
      if (running !== undefined) {
        if (running.commitment !== submission.commitment) throw conflict(submission);
        return running.reply;
      }
      const reply = settle(worker, submission, outputs);
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
      finishing.abort();
      await Promise.allSettled(Array.from(underWay.values(), (each) => each.reply));
    },
  };
}

function conflict({ shardId }: Submission): HearthlendError {
  return new HearthlendError('RESULT_CONFLICT', { shard: shardId });
}
