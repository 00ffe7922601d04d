import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { StageReply } from '../../core/contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GenerateShard, RunShard, Shard } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import type { Context } from '../context.ts';
import type { Worker } from '../service.ts';
import type { AttemptKey } from '../store.ts';
import { advance } from './chain.ts';
import { type Next, StagedGeneration } from './generation.ts';
import { GenerationPlan } from './plan.ts';
import { tokensAs } from './steps.ts';

/** How long a stage waits for its next step before it is told to ask again: less than any transport's patience. */
const WAIT_MS = 5000;
/** A stage that was handed nothing asks at least this often, else its machine is gone. */
const SILENT_MS = 4 * WAIT_MS;
/** How long a step may take, whatever the machine. */
const STEP_MS = 120_000;
const LOOK_MS = 2000;
/** Jobs that are looked at after a crash, the newest first. */
const LOOK_AT = 1000;

/** Drives generations whose stages are lent to several workers. */
export interface Staging {
  /** What a worker's stage does next, once that is known; see Network.exchange. */
  exchange(worker: Worker, key: AttemptKey, step: number, outputs: Uint8Array | null): Promise<StageReply>;
  /** What is wrong with the result of a stage, in words; undefined where it is what was handed in step by step. */
  fault(shard: GenerateShard, attempt: number, units: number, result: Tensors): Promise<string | undefined>;
  /** A stage's result was accepted, or its job is over. */
  settled(shard: Shard): void;
  /** Goes on with what a crash left between two stages. */
  resume(): Promise<void>;
  close(): void;
}

interface Running {
  generation: StagedGeneration;
  /** When each stage was heard of last, and handed something: ms of the coordinator's steady clock. */
  heard: number[];
  /** Resolved when anything moved. */
  moved: PromiseWithResolvers<void>;
}

/** @param drop ends the lease of a stage whose worker is not heard of any more, so that it is lent again */
export function createStaging(context: Context, drop: (key: AttemptKey) => Promise<void>): Staging {
  const { store, blobs, log, monotonic } = context;
  const running = new Map<string, Promise<Running>>();
  const holders = new Map<string, { key: AttemptKey; jobId: string; index: number }>();
  let closed = false;
  const looking = setInterval(
    () => void look().catch((thrown: unknown) => log('error', 'stages-not-watched', { detail: asHearthlendError(thrown).message })),
    LOOK_MS,
  );
  looking.unref();

  function generationOf({ jobId, stage }: GenerateShard): Promise<Running> {
    const known = running.get(jobId);
    if (known !== undefined) return known;
    const opening = open(stage?.plan ?? '');
    running.set(jobId, opening);
    opening.catch(() => running.delete(jobId));
    return opening;
  }

  async function open(plan: string): Promise<Running> {
    const parsed = GenerationPlan.parse(JSON.parse(new TextDecoder().decode(await blobs.read(plan))));
    return { generation: new StagedGeneration(parsed), heard: [], moved: Promise.withResolvers() };
  }

  /** Ends the leases of stages that nobody computes any more, and forgets generations whose jobs are over. */
  async function look(): Promise<void> {
    for (const [jobId, opening] of running) {
      const job = await store.job(jobId);
      if (job?.state === 'queued' || job?.state === 'running') continue;
      running.delete(jobId);
      (await opening).moved.resolve();
    }
    for (const [name, { key, jobId, index }] of holders) {
      const each = await running.get(jobId);
      const silentMs = monotonic() - (each?.heard[index] ?? 0);
      if (each === undefined) holders.delete(name);
      else if (silentMs > (each.generation.isBusy(index) ? STEP_MS : SILENT_MS)) {
        holders.delete(name);
        log('warn', 'stage-silent', { shard: key.shardId, attempt: key.attempt, silentMs });
        await drop(key);
      }
    }
  }

  async function stageShard(worker: Worker, key: AttemptKey): Promise<GenerateShard & { stage: NonNullable<GenerateShard['stage']> }> {
    const attempt = await store.attempt(key);
    if (attempt === null || attempt.worker !== worker.address) throw new HearthlendError('LEASE_UNKNOWN', { shard: key.shardId });
    if (attempt.state !== 'leased') throw new HearthlendError('LEASE_EXPIRED', { shard: key.shardId });
    const shard = (await store.shard(key.shardId))?.shard;
    if (shard?.kind !== 'onnx.generate' || shard.stage === undefined) throw new HearthlendError('LEASE_UNKNOWN', { shard: key.shardId });
    return { ...shard, stage: shard.stage };
  }

  /** Whether the tokens of a generation that is over are safe: they lie in its last stage's result. */
  async function isKept(jobId: string): Promise<boolean> {
    return (await store.shardsOf(jobId)).some(({ shard, state }) => shard.kind === 'onnx.generate' && isLast(shard) && state === 'done');
  }

  /** What can't be made now is made at the next start. */
  function advanceLater(shard: RunShard): void {
    advance(context, shard).catch((thrown: unknown) =>
      log('error', 'stage-not-made', { job: shard.jobId, detail: asHearthlendError(thrown).message }),
    );
  }

  function reply(next: Next, shard: GenerateShard, generation: StagedGeneration): StageReply {
    if (next.type === 'step') return { type: 'step', tokens: next.tokens, inputs: encodeSafetensors(next.inputs) };
    if (!isLast(shard)) return { type: 'done' };
    // The last stage takes the tokens along with its result, which is kept as every result is.
    const { data } = tokensAs('int64', generation.tokens);
    const tokens = { type: 'int64' as const, shape: [generation.tokens.length], data };
    return { type: 'done', inputs: encodeSafetensors(new Map([['tokens', tokens]])) };
  }

  return {
    async exchange(worker, key, step, outputs) {
      const shard = await stageShard(worker, key);
      const { index } = shard.stage;
      // After a restart, a stage that has done its part is told so; it can't go on with what is not known any more.
      if (!running.has(shard.jobId) && step > 0 && !isLast(shard) && (await isKept(shard.jobId))) return { type: 'done' };
      const each = await generationOf(shard);
      const { generation } = each;
      generation.claim(index, key.attempt, step);
      holders.set(`${key.shardId}#${key.attempt}`, { key, jobId: shard.jobId, index });
      each.heard[index] = monotonic();
      if (outputs !== null) {
        const digest = createHash('sha256').update(outputs).digest('hex');
        generation.handIn(index, step, tensorsOf(shard.id, outputs), digest);
        moved(each);
      }
      const until = monotonic() + WAIT_MS;
      for (;;) {
        const change = each.moved.promise;
        const next = generation.next(index);
        const held = next?.type === 'done' && !isLast(shard) && !(await isKept(shard.jobId));
        if (next !== null && !held) {
          each.heard[index] = monotonic();
          return reply(next, shard, generation);
        }
        const leftMs = until - monotonic();
        if (leftMs <= 0 || closed || running.get(shard.jobId) === undefined) return { type: 'wait' };
        const waiting = new AbortController();
        await Promise.race([change, sleep(leftMs, undefined, { signal: waiting.signal, ref: false })]).finally(() => waiting.abort());
        each.heard[index] = monotonic();
      }
    },
    async fault(shard, attempt, units, result) {
      const steps = result.get('steps');
      const names = isLast(shard) ? 2 : 1;
      if (steps === undefined || result.size !== names || steps.type !== 'uint8' || steps.shape[1] !== 32)
        return 'it is not the digests of its steps';
      const opened = await running.get(shard.jobId);
      const computed = opened?.generation.computedBy(shard.stage?.index ?? -1, attempt) ?? null;
      if (opened === undefined || computed === null) return isLast(shard) ? 'its steps are not known here any more' : undefined;
      if (Buffer.from(steps.data).toString('hex') !== computed.digests.join(''))
        return 'its digests are not those of the steps that it handed in';
      if (units !== (shard.price.unit === 'token' ? computed.units : 1))
        return `it counts ${units} units where ${computed.units} tokens went through it`;
      if (!isLast(shard)) return undefined;
      const made = tokensAs('int64', opened.generation.tokens).data;
      const same = opened.generation.over && Buffer.from(made).equals(result.get('tokens')?.data ?? new Uint8Array());
      return same ? undefined : 'its tokens are not those that were drawn';
    },
    settled(shard) {
      void running.get(shard.jobId)?.then(moved, () => undefined);
      if (shard.kind === 'onnx.run') advanceLater(shard);
    },
    async resume() {
      for (const { id, state, shards: wanted } of await store.jobs(LOOK_AT)) {
        if (state !== 'queued' && state !== 'running') continue;
        const shards = await store.shardsOf(id);
        const last = shards.at(-1);
        if (last?.shard.kind !== 'onnx.run' || last.shard.stage === undefined || last.state !== 'done' || shards.length === wanted)
          continue;
        await advance(context, last.shard);
      }
    },
    close() {
      closed = true;
      clearInterval(looking);
      for (const opening of running.values()) void opening.then(moved, () => undefined);
    },
  };
}

function moved(each: Running): void {
  const { resolve } = each.moved;
  each.moved = Promise.withResolvers();
  resolve();
}

function isLast({ stage }: GenerateShard): boolean {
  return stage !== undefined && stage.index === stage.of - 1;
}

function tensorsOf(shard: string, blob: Uint8Array): Tensors {
  try {
    return decodeSafetensors(blob);
  } catch (thrown) {
    const { code, params } = asHearthlendError(thrown);
    throw new HearthlendError('RESULT_MALFORMED', { shard, detail: `${code} ${JSON.stringify(params)}` });
  }
}
