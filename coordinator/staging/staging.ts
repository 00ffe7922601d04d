import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { MadeOfShard } from '../../core/contract/jobs.ts';
import type { StageReply } from '../../core/contract/network.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GenerateShard, RunShard, Shard, Submission } from '../../core/contract/shard.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import type { Context } from '../context.ts';
import type { Exchanging, Others } from '../others.ts';
import type { Worker } from '../service.ts';
import type { AttemptKey } from '../store.ts';
import type { StageAudits } from '../trust/stage-auditor.ts';
import { advance } from './chain.ts';
import { type Next, StagedGeneration } from './generation.ts';
import { StagePace } from './pace.ts';
import { Parts } from './parts.ts';
import { GenerationPlan } from './plan.ts';
import { tokensAs } from './steps.ts';

/** How long a stage waits for its next step before it is told to ask again: less than any transport's patience. */
const WAIT_MS = 5000;
/** A stage that was handed nothing asks at least this often, else its machine is gone. */
const SILENT_MS = 4 * WAIT_MS;
const LOOK_MS = 2000;
const DIGEST_BYTES = 32;
/** After this long without a word of it, another coordinator takes a generation over, from its beginning. */
const STALE_MS = 20_000;
/** Jobs that are looked at after a crash, the newest first. */
const LOOK_AT = 1000;

/** What staging needs beside the coordinator's own. */
interface StagingPorts {
  /** Ends the lease of a stage whose worker is not heard of any more, so that it is lent again. */
  drop(key: AttemptKey, why: 'crashed' | 'stopped'): Promise<void>;
  /** Ends the lease of one whose outputs were found wrong. */
  refuse(key: AttemptKey, detail: string): Promise<void>;
  /** Looks at what stages made; null where nobody asked for it to be done twice. */
  audits: StageAudits | null;
  /** Tokens of a generation that somebody reads along, as they are drawn. */
  tellMade(made: MadeOfShard): void;
  /** The network's other coordinators; null where this one is alone, or can't reach them. */
  others: Others | null;
}

/** Drives generations whose stages are lent to several workers. */
export interface Staging {
  /** What a worker's stage does next, once that is known; see Network.exchange. */
  exchange(worker: Worker, key: AttemptKey, step: number, outputs: Uint8Array | null, how?: Exchanging): Promise<StageReply>;
  /** What is wrong with the result of a stage, in words; undefined where it is what was handed in step by step. */
  fault(shard: GenerateShard, submission: Submission): Promise<string | undefined>;
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
  /** Of a generation that is over, whether its stages are being audited, or need not be any more. */
  audit: 'not-begun' | 'under-way' | 'done';
}

export function createStaging(context: Context, { drop, refuse, audits, tellMade, others }: StagingPorts): Staging {
  const { store, blobs, log, monotonic, clock, origin } = context;
  const running = new Map<string, Promise<Running>>();
  /** By which this coordinator is told from the network's others, and when it last said that it drives a job. */
  const self = others?.self ?? randomBytes(8).toString('hex');
  const driven = new Map<string, number>();
  const holders = new Map<string, { key: AttemptKey; jobId: string; index: number; pace: StagePace }>();
  const parts = new Parts();
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
    return {
      generation: new StagedGeneration(parsed),
      heard: [],
      moved: Promise.withResolvers(),
      audit: audits === null ? 'done' : 'not-begun',
    };
  }

  /** Which coordinator drives a job: it alone knows the steps. One that was not heard of for long loses it, and must know that by itself. */
  async function driverOf(jobId: string): Promise<string> {
    if (origin === 'own') return self;
    const since = driven.get(jobId);
    if (since !== undefined && monotonic() - since < STALE_MS / 2) return self;
    const driver = await store.driver(jobId);
    if (driver !== null && driver.coordinator !== self && driver.seenAt >= clock() - STALE_MS) return driver.coordinator;
    return take(jobId);
  }

  async function take(jobId: string): Promise<string> {
    const at = monotonic();
    const driver = await store.drive(jobId, self, clock(), clock() - STALE_MS);
    if (driver === self) {
      driven.set(jobId, at);
      return self;
    }
    driven.delete(jobId);
    (await running.get(jobId))?.moved.resolve();
    running.delete(jobId);
    return driver;
  }

  /** Ends the leases of stages that nobody computes any more, and forgets generations whose jobs are over. */
  async function look(): Promise<void> {
    for (const [jobId, opening] of running) {
      const job = await store.job(jobId);
      if (job?.state === 'queued' || job?.state === 'running') {
        if (origin === 'network' && monotonic() - (driven.get(jobId) ?? 0) > STALE_MS / 5) await take(jobId);
        continue;
      }
      running.delete(jobId);
      driven.delete(jobId);
      (await opening).moved.resolve();
    }
    for (const [name, { key, jobId, index, pace }] of holders) {
      const each = await running.get(jobId);
      const silentMs = monotonic() - (each?.heard[index] ?? 0);
      if (each === undefined) forget(name);
      else if (silentMs > (each.generation.isBusy(index) ? pace.patienceMs : SILENT_MS)) {
        forget(name);
        log('warn', 'stage-silent', { shard: key.shardId, attempt: key.attempt, silentMs });
        await drop(key, 'crashed');
      }
    }
  }

  function forget(attempt: string): void {
    holders.delete(attempt);
    parts.drop(attempt);
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

  /** Before anybody is told that a generation is over: what is made of something wrong is wrong, whoever made it, and is made anew. */
  async function audit(jobId: string, each: Running): Promise<void> {
    each.audit = 'under-way';
    const { generation } = each;
    const shards = (await store.shardsOf(jobId)).flatMap(({ shard, attempt }) =>
      shard.kind === 'onnx.generate' && shard.stage !== undefined ? [{ shard, attempt, index: shard.stage.index }] : [],
    );
    const stages = shards.map(({ shard, attempt, index }) => ({ shard, attempt, record: generation.record(index) }));
    const refuted = (await audits?.examine(generation.plan, stages)) ?? [];
    if (refuted.length === 0) each.audit = 'done';
    else {
      running.delete(jobId);
      log('warn', 'stages-begin-anew', { job: jobId, refuted: refuted.length });
      for (const { shard, attempt } of shards) {
        const found = refuted.find((key) => key.shardId === shard.id && key.attempt === attempt);
        const key = { shardId: shard.id, attempt };
        await (found === undefined ? drop(key, 'stopped') : refuse(key, found.detail));
      }
    }
    moved(each);
  }

  function auditInBackground(jobId: string, each: Running): void {
    audit(jobId, each).catch((thrown: unknown) => {
      log('error', 'stages-not-audited', { job: jobId, detail: asHearthlendError(thrown).message });
      each.audit = 'not-begun';
    });
  }

  /** What can't be made now is made at the next start. */
  function advanceLater(shard: RunShard): void {
    advance(context, shard).catch((thrown: unknown) =>
      log('error', 'stage-not-made', { job: shard.jobId, detail: asHearthlendError(thrown).message }),
    );
  }

  /** What a stage is told; of one that is over, what it has to hand in is kept first. */
  async function reply(next: Next, shard: GenerateShard, key: AttemptKey, generation: StagedGeneration): Promise<StageReply> {
    if (next.type === 'step') return { type: 'step', tokens: next.tokens, inputs: encodeSafetensors(next.inputs) };
    const result: Tensors = new Map();
    // The last stage takes the tokens along with its result, which is kept as every result is.
    if (isLast(shard)) result.set('tokens', { ...tokensAs('int64', generation.tokens), shape: [generation.tokens.length] });
    const inputs = encodeSafetensors(result);
    const computed = generation.computedBy(shard.stage?.index ?? -1, key.attempt) ?? { digests: [], units: 0 };
    const steps = new Uint8Array(Buffer.from(computed.digests.join(''), 'hex'));
    result.set('steps', { type: 'uint8', shape: [computed.digests.length, DIGEST_BYTES], data: steps });
    const commitment = createHash('sha256').update(encodeSafetensors(result)).digest('hex');
    await store.expectResult(key, { commitment, units: computed.units });
    return isLast(shard) ? { type: 'done', inputs } : { type: 'done' };
  }

  return {
    async exchange(worker, key, step, given, { part, passedOn = false } = {}) {
      const shard = await stageShard(worker, key);
      const { index } = shard.stage;
      const driver = await driverOf(shard.jobId);
      if (driver !== self) {
        if (others === null || passedOn) throw new HearthlendError('NETWORK_BUSY');
        return others.exchange(driver, { worker, key, step, ...(part === undefined ? {} : { part }) }, given);
      }
      // After a restart, a stage that was told that it is over is told so again.
      if (!running.has(shard.jobId) && !isLast(shard) && (await store.stageResult(key)) !== null) return { type: 'done' };
      const each = await generationOf(shard);
      const { generation } = each;
      generation.claim(index, key.attempt, step);
      const holder = `${key.shardId}#${key.attempt}`;
      const pace = holders.get(holder)?.pace ?? new StagePace();
      holders.set(holder, { key, jobId: shard.jobId, index, pace });
      each.heard[index] = monotonic();
      const outputs = given === null || part === undefined ? given : parts.add(holder, step, part, given);
      if (part !== undefined && outputs === null) return { type: 'wait' };
      if (outputs !== null) {
        pace.answered(monotonic());
        const from = generation.tokens.length;
        const digest = createHash('sha256').update(outputs).digest('hex');
        generation.handIn(index, step, tensorsOf(shard.id, outputs), digest);
        moved(each);
        const tokens = generation.tokens.slice(from);
        if (shard.stream === true && tokens.length > 0) tellMade({ shardId: shard.id, from, tokens });
      }
      const until = monotonic() + WAIT_MS;
      for (;;) {
        const change = each.moved.promise;
        const next = generation.next(index);
        if (next?.type === 'done' && each.audit === 'not-begun') auditInBackground(shard.jobId, each);
        const held = next?.type === 'done' && (each.audit !== 'done' || (!isLast(shard) && !(await isKept(shard.jobId))));
        if (next !== null && !held) {
          each.heard[index] = monotonic();
          if (next.type === 'step') pace.handed(monotonic());
          return reply(next, shard, key, generation);
        }
        const leftMs = until - monotonic();
        if (leftMs <= 0 || closed || running.get(shard.jobId) === undefined) return { type: 'wait' };
        const waiting = new AbortController();
        await Promise.race([change, sleep(leftMs, undefined, { signal: waiting.signal, ref: false })]).finally(() => waiting.abort());
        each.heard[index] = monotonic();
      }
    },
    async fault(shard, { shardId, attempt, commitment, units }) {
      const expected = await store.stageResult({ shardId, attempt });
      if (expected === null) return 'its generation is not over';
      const wanted = shard.price.unit === 'token' ? expected.units : 1;
      if (units !== wanted) return `it counts ${units} units where ${wanted} tokens went through it`;
      return commitment === expected.commitment ? undefined : 'its result is not made of the steps that it handed in';
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
