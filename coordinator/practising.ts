import { createHash } from 'node:crypto';
import { canonicalJson, type Sha256 } from '../core/contract/digest.ts';
import type { PracticeSource } from '../core/contract/jobs.ts';
import { type MessageRef, ref } from '../core/contract/messages.ts';
import { practiceCredit } from '../core/contract/money.ts';
import { decodeSafetensors } from '../core/contract/safetensors.ts';
import type { Limits, Shard } from '../core/contract/shard.ts';
import { type Context, PRACTICE_JOB } from './context.ts';
import { holderOf } from './holding.ts';
import { practiceBackOffMs } from './leasing.ts';
import { extendedLimits, localDay, practiceLeft } from './quota.ts';
import type { PracticeBook, PracticeLimits, ShardRecord } from './store.ts';

/** Ample for the practice model on the slowest machine. */
const PRACTICE_LIMITS: Limits = { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 8 << 20 };
/** Practice credits of a run that scores a batch: about what a generation of middle length brings at one credit a token. */
const RUN_CREDITS = '25';
/** Who waits for the next day asks again now and then: a computer that slept doesn't know how late it is. */
const MAX_RETRY_MS = 3_600_000;

/** Practice work: what it is made of, and how much of it there is today. */
export interface Practising {
  /** Digest of the practice model. */
  readonly model: Sha256;
  left(): { acceptedToday: number; shardsLeft: number; msLeft: number };
  extend(shards: number): void;
  /** Why there is no practice now; undefined where there is. */
  refusal(): { reason: MessageRef; retryMs: number | null } | undefined;
  /** A new shard, queued. */
  next(): Promise<ShardRecord>;
  /** Puts the shard's model and inputs in place, also where a crash left them damaged. */
  prepare(record: ShardRecord): Promise<void>;
  ended(how: 'accepted' | 'failed'): void;
}

export function createPractising(
  context: Context,
  book: PracticeBook,
  source: PracticeSource,
  quota: { shardsPerDay: number; minutesPerDay: number },
  monotonic: () => number,
): Practising {
  const manifest = new TextEncoder().encode(canonicalJson(source.model.manifest));
  const model = { digest: createHash('sha256').update(manifest).digest('hex'), bytes: manifest.byteLength };
  let modelInPlace: Promise<void> | undefined;
  let failuresInARow = 0;
  let restUntil = 0;

  const today = () => localDay(context.clock());
  const spentOn = (day: { start: number; end: number }) => book.spent(day.start, day.end);
  const limitsOf = (day: { name: string }): PracticeLimits =>
    book.limits(day.name) ?? { shards: quota.shardsPerDay, ms: quota.minutesPerDay * 60_000 };

  async function putModel(): Promise<void> {
    const { files } = source.model.manifest;
    await context.holding.hold(holderOf.practiceModel(model.digest), [model.digest, ...files.map((file) => file.digest)]);
    for (const { path, digest, bytes } of files) await context.blobs.putFile(source.model.files.get(path) ?? path, { digest, bytes });
    await context.blobs.putBytes(manifest);
  }

  function left(): { acceptedToday: number; shardsLeft: number; msLeft: number } {
    const day = today();
    return practiceLeft(limitsOf(day), spentOn(day));
  }

  function shardOf(number: number): { shard: Shard; inputs: Uint8Array; promptTokens: number } {
    const task = source.task(number);
    const { inputs } = task;
    const base = {
      id: `practice-${number}`,
      jobId: PRACTICE_JOB,
      network: context.networkId,
      model,
      inputs: { digest: createHash('sha256').update(inputs).digest('hex'), bytes: inputs.byteLength },
      limits: PRACTICE_LIMITS,
      session: { intraOpThreads: 0, graphOptimization: 'all' as const },
      origin: 'practice' as const,
    };
    const asset = practiceCredit(context.networkId);
    if (task.kind === 'onnx.run') {
      const shard: Shard = { ...base, kind: task.kind, outputs: task.outputs, price: { asset, unit: 'run', perUnit: RUN_CREDITS } };
      return { shard, inputs, promptTokens: 0 };
    }
    const { kind, maxNewTokens, sampling } = task;
    const { decoder, stopTokens } = source;
    const shard: Shard = { ...base, kind, decoder, maxNewTokens, stopTokens, sampling, price: { asset, unit: 'token', perUnit: '1' } };
    return { shard, inputs, promptTokens: decodeSafetensors(inputs).get('input_ids')?.shape[1] ?? 0 };
  }

  return {
    model: model.digest,
    left,
    extend(shards) {
      const day = today();
      book.setLimits(day.name, extendedLimits(limitsOf(day), spentOn(day), shards, PRACTICE_LIMITS.wallMs));
      context.emit({ type: 'work' });
    },
    refusal() {
      const day = today();
      const { shardsLeft } = practiceLeft(limitsOf(day), spentOn(day));
      if (shardsLeft === 0) {
        const retryMs = Math.min(Math.max(day.end - context.clock(), 1), MAX_RETRY_MS);
        return { reason: ref('no-work.practice-over'), retryMs };
      }
      // What is lent out may still be accepted, so it counts.
      if (book.outstanding() >= shardsLeft) return { reason: ref('no-work.lease-held'), retryMs: null };
      const restMs = Math.ceil(restUntil - monotonic());
      if (restMs <= 0) return undefined;
      const params = { count: failuresInARow, seconds: Math.ceil(restMs / 1000) };
      return { reason: ref('no-work.practice-failing', params), retryMs: restMs };
    },
    async next() {
      const { shard, promptTokens } = shardOf(await context.store.takePracticeNumber());
      const record: ShardRecord = { shard, promptTokens, state: 'queued', attempt: 0, createdAt: context.clock() };
      await context.store.addPractice(record);
      return record;
    },
    async prepare({ shard }) {
      modelInPlace ??= putModel();
      try {
        await modelInPlace;
      } catch (thrown) {
        modelInPlace = undefined;
        throw thrown;
      }
      const number = Number(shard.id.slice('practice-'.length));
      const { inputs } = shardOf(number);
      await context.holding.hold(holderOf.practiceShard(shard.id), [shard.inputs.digest]);
      await context.blobs.putBytes(inputs);
    },
    ended(how) {
      failuresInARow = how === 'accepted' ? 0 : failuresInARow + 1;
      restUntil = monotonic() + practiceBackOffMs(failuresInARow);
    },
  };
}
