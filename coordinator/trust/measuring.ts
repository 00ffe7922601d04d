import type { Uncalibrated } from '../../core/contract/audits.ts';
import type { BackendName } from '../../core/contract/backends.ts';
import type { Sha256 } from '../../core/contract/digest.ts';
import type { InspectModel } from '../../core/contract/jobs.ts';
import { ref } from '../../core/contract/messages.ts';
import { ModelManifest } from '../../core/contract/model.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Tensors } from '../../core/contract/tensor.ts';
import type { Context } from '../context.ts';
import { holderOf } from '../holding.ts';
import { demandOf, refusalOf } from '../leasing/demand.ts';
import type { ShardRecord } from '../store.ts';
import { localModel } from './auditor.ts';
import { rowDistances, thresholdsFrom } from './calibrating.ts';
import { copyOf } from './canaries.ts';
import { NOBODY } from './recalibrating.ts';
import type { CanarySource } from './records.ts';
import { isTrusted } from './reputation.ts';
import { type Asker, firstBackend } from './seconds.ts';
import { type Calibration, startThresholds } from './thresholds.ts';
import { MEASURED } from './twins.ts';

/** Real shards that are looked for, of all models. */
const LOOK_AT = 256;
/** Machines of one backend that are asked: two make a pair of it. */
const OF_EACH = 2;
/** How long all of them have for one shard. */
const ANSWER_MS = 120_000;
/** A result that lies this many times further from the known answer than is tolerated at first is no honest one's. */
const TOO_FAR = 5;

/** What one machine gave for one shard. */
interface Answer {
  asker: Asker;
  backend: BackendName;
  outputs: Tensors;
}

/** Measures how far honest machines' results lie apart, of one backend and across backends, by lending them the same real work. */
export interface Measuring {
  measure(
    choice: { model: Sha256 | null; samples: number },
    inspect: InspectModel,
  ): Promise<{ calibrations: Calibration[]; left: Uncalibrated[] }>;
}

/** @param answerMs how long machines have for one shard */
export function createMeasuring(context: Context, answerMs = ANSWER_MS): Measuring {
  const { store, blobs, holding, clock, log } = context;

  /** Machines that have proven something, at most two of each backend. */
  function machines(): Asker[] {
    const counted = new Map<BackendName, number>();
    return context.machines.askers().filter(({ address, request }) => {
      const { suspendedUntil, ...reputation } = store.standing(address);
      const { name } = firstBackend(request);
      const count = counted.get(name) ?? 0;
      if (!isTrusted(reputation) || (suspendedUntil ?? 0) > clock() || count >= OF_EACH) return false;
      counted.set(name, count + 1);
      return true;
    });
  }

  /** Lends a copy to one machine and waits for what it gives; null where that doesn't come in time. */
  async function ask(asker: Asker, { shard: like, promptTokens, outputs }: CanarySource): Promise<Answer | null> {
    const shard = copyOf(like);
    const { files } = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await blobs.read(shard.model.digest))));
    const demand = demandOf(shard, { modelBytes: files.reduce((sum, { bytes }) => sum + bytes, 0) });
    if (refusalOf(demand, asker.request, context.money) !== null) return null;
    const holder = holderOf.spareShard(shard.id);
    await holding.hold(holder, [shard.model.digest, shard.inputs.digest, ...files.map(({ digest }) => digest)]);
    const record: ShardRecord = { shard, promptTokens, state: 'queued', attempt: 0, createdAt: clock() };
    const twin = { source: { shardId: shard.id, attempt: MEASURED }, worker: NOBODY, outputs, backend: null, offered: asker.address };
    const over = settled(shard.id);
    if ((await store.issueTwin(record, twin)) === null) return null;
    await over;
    try {
      const lent = (await store.attemptsOf(shard.id)).find(({ submission }) => submission !== null)?.submission;
      if ((await store.twin(shard.id))?.verdict == null || lent == null) {
        if (await store.dropTwin(shard.id, clock())) await holding.letGo(holder);
        return null;
      }
      const given = decodeSafetensors(await blobs.read(lent.commitment));
      return { asker, backend: lent.backend ?? firstBackend(asker.request).name, outputs: given };
    } finally {
      await holding.letGo(holderOf.measured(shard.id));
    }
  }

  /** Resolves when a copy's result is here, or will not be. */
  function settled(shardId: string): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        unfollow();
        clearTimeout(timer);
        resolve();
      };
      const unfollow = store.onApplied((applied) => {
        if (applied.name === 'settleTwin' && applied.args[0] === shardId) end();
        if (
          (applied.name === 'endAttempt' || applied.name === 'expire' || applied.name === 'reject') &&
          applied.args[0].shardId === shardId
        )
          end();
      });
      const timer = setTimeout(end, answerMs);
    });
  }

  async function measureModel(sources: readonly CanarySource[], asked: readonly Asker[], inspect: InspectModel) {
    const [first] = sources as [CanarySource];
    const model = first.shard.model.digest;
    const { coarse } = await inspect(await localModel(context, first.shard));
    const found = new Map<string, { claimed: BackendName; reference: BackendName; distances: number[] }>();
    const left = new Map<string, Uncalibrated>();
    const leave = (claimed: BackendName | null, reason: Uncalibrated['reason']) =>
      left.set(`${claimed} ${reason.key}`, { model, claimed, reference: claimed, reason });
    const add = (one: BackendName, other: BackendName, distances: number[]) => {
      const [claimed, reference] = [one, other].sort((a, b) => Number(a === 'cpu') - Number(b === 'cpu') || (a < b ? -1 : 1)) as [
        BackendName,
        BackendName,
      ];
      const known = found.get(`${claimed}/${reference}`) ?? { claimed, reference, distances: [] };
      known.distances.push(...distances);
      found.set(`${claimed}/${reference}`, known);
    };
    for (const source of sources) {
      const inputs = decodeSafetensors(await blobs.read(source.shard.inputs.digest));
      const right = decodeSafetensors(await blobs.read(source.outputs));
      const answers: Answer[] = [];
      for (const answer of await Promise.all(asked.map((asker) => ask(asker, source)))) {
        if (answer === null) continue;
        const distances = sameForm(answer.outputs, right) ? rowDistances(answer.outputs, right, inputs) : [Number.POSITIVE_INFINITY];
        const most = TOO_FAR * startThresholds({ claimed: answer.backend, reference: 'cpu' }, coarse).distance;
        const furthest = Math.max(0, ...distances);
        if (furthest > most) {
          leave(answer.backend, ref('calibrate.too-far', { worker: answer.asker.address, distance: furthest.toExponential(1) }));
          continue;
        }
        add(answer.backend, 'cpu', distances);
        for (const other of answers) add(answer.backend, other.backend, rowDistances(answer.outputs, other.outputs, inputs));
        answers.push(answer);
      }
      if (answers.length < asked.length) leave(null, ref('calibrate.no-answer', { count: asked.length - answers.length }));
    }
    const kept = await store.calibrations(model);
    const calibrations = [...found.values()].map(({ claimed, reference, distances }): Calibration => {
      const before = kept.find((each) => each.claimed === claimed && each.reference === reference);
      const start = before ?? startThresholds({ claimed, reference }, coarse);
      const { distance } = thresholdsFrom({ distances, draws: [], logits: [] }, start);
      const { draw, logit, nearTies } = start;
      // What the reference was measured to differ from itself by, on one machine, stays tolerated.
      const least = claimed === reference ? (before?.distance ?? 0) : 0;
      return {
        ...{ model, claimed, reference, distance: Math.max(distance, least), draw, logit, nearTies },
        ...{ comparisons: distances.length, worst: Math.max(0, ...distances), at: clock() },
      };
    });
    for (const backend of new Set(asked.map(({ request }) => firstBackend(request).name))) {
      if (asked.filter(({ request }) => firstBackend(request).name === backend).length < OF_EACH)
        leave(backend, ref('calibrate.one-machine', { backend }));
    }
    return { calibrations, left: [...left.values()] };
  }

  return {
    async measure({ model, samples }, inspect) {
      const byModel = new Map<Sha256, CanarySource[]>();
      const texts = new Set<Sha256>();
      for (const source of await store.canariesFor(NOBODY, LOOK_AT)) {
        const { digest } = source.shard.model;
        if (model !== null && model !== digest) continue;
        // A text is tokens, of which one that differs says nothing of how far what it was drawn by lay apart.
        if (source.shard.kind === 'onnx.generate') texts.add(digest);
        else if ((byModel.get(digest)?.length ?? 0) < samples) byModel.set(digest, [...(byModel.get(digest) ?? []), source]);
      }
      const asked = machines();
      const calibrations: Calibration[] = [];
      const left: Uncalibrated[] = [...texts]
        .filter((digest) => !byModel.has(digest))
        .map((digest) => ({ model: digest, claimed: null, reference: null, reason: ref('calibrate.text-only') }));
      for (const [digest, sources] of byModel) {
        if (asked.length === 0) {
          left.push({ model: digest, claimed: null, reference: null, reason: ref('calibrate.no-machine') });
          continue;
        }
        const found = await measureModel(sources, asked, inspect);
        for (const calibration of found.calibrations) await store.setCalibration(calibration);
        calibrations.push(...found.calibrations);
        left.push(...found.left);
      }
      log('info', 'measured-between-workers', { machines: asked.length, calibrations: calibrations.length });
      return { calibrations, left };
    },
  };
}

function sameForm(one: Tensors, other: Tensors): boolean {
  return [...other].every(([name, { type, shape }]) => one.get(name)?.type === type && one.get(name)?.shape.join() === shape.join());
}
