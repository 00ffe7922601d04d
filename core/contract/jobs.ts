import type { ApiKeys } from './api-keys.ts';
import type { BackendName } from './backends.ts';
import type { BlobRef, Sha256 } from './digest.ts';
import type { Forcing } from './forced-draw.ts';
import type { DecoderConfig, ModelManifest } from './model.ts';
import type { Amount } from './money.ts';
import type { JobStatus, MadeTokens, Network } from './network.ts';
import type { Sampling } from './sampler.ts';
import type { Limits, SessionOptions, Shard } from './shard.ts';
import type { SplitManifest } from './stages.ts';
import type { TensorType } from './tensor.ts';

/** A model to run and where its files lie on this machine, by the manifest's paths. */
export interface LocalModel {
  manifest: ModelManifest;
  files: ReadonlyMap<string, string>;
}

/**
 * A graph's input or output as the model's file declares it. A dimension is a size, the name of one that varies, or null where nothing is
 * said; `shape` is null where not even the rank is declared. `type` is null for outputs whose type is left to be inferred.
 */
export interface ModelValue {
  name: string;
  type: TensorType | null;
  shape: Array<number | string | null> | null;
}

/** A model file read and hashed, with what goes in (initializers left out) and what comes out. */
export interface DescribedModel extends LocalModel {
  inputs: ModelValue[];
  outputs: ModelValue[];
}

/** A model cut into stages, and where the files of all of them lie, by the names in their manifests. */
export interface SplitModel {
  manifest: SplitManifest;
  files: ReadonlyMap<string, string>;
}

/** The same, where it is kept: what others use of it stays until it is released. */
export interface HeldSplit extends SplitModel {
  release(): Promise<void>;
}

/** What one stage of a model would be. */
export interface StageSize {
  /** Its constants, spread out. */
  weightBytes: number;
  /** Layers whose cache it keeps. */
  layers: number;
}

/** Cuts models whose files lie here, so that machines have room for them which have none for the whole. */
export interface ModelSplitter {
  /** The largest stage that can be tried here before anybody else gets it. */
  readonly mostStageBytes: number;
  /** How large the stages would be, for any number of them; weights are not read. @throws MODEL_INVALID, and from what is given MODEL_UNCUTTABLE */
  sizes(model: LocalModel): Promise<(stages: number) => StageSize[]>;
  /** The stages, cut once and kept. @param decoder null for a graph that is run once @throws what cutting throws */
  split(model: LocalModel, decoder: { decoder: DecoderConfig; stopTokens: number[] } | null, stages: number): Promise<HeldSplit>;
}

interface JobBase {
  model: LocalModel;
  /** A safetensors blob. */
  inputs: Uint8Array;
  limits: Limits;
  session: SessionOptions;
  /** The same model in stages, each for a worker of its own: what is asked for is then done by those. */
  split?: SplitModel;
}
export type JobRequest =
  /** `further`: the inputs of the job's other shards, in order, where a batch was split; each part is a shard, and pays for itself. */
  | (JobBase & { kind: 'onnx.run'; outputs: string[]; further?: Uint8Array[] })
  | (JobBase & {
      kind: 'onnx.generate';
      decoder: DecoderConfig;
      maxNewTokens: number;
      stopTokens: number[];
      sampling: Sampling;
      /** Whether somebody reads along: the tokens are then told while they are made. */
      stream?: boolean;
    });

/** Who wants a job, under which name, and what for. */
export interface JobOrder {
  /** The id of the key by which it came; left out for the owner of this machine. */
  requester?: string;
  /** Left out: a random one. `same`: one that follows from what is asked for, so that the same job asked for twice is one job. */
  id?: string | 'same';
  /** What is offered for a unit (base units); by the network's price list where left out. */
  perUnit?: Amount;
  /** Refused where the job could cost more (base units). */
  maxCost?: Amount;
  /** Backends that will do; any where left out. */
  backends?: BackendName[];
  /** What the work is about, one of the network's categories. */
  category?: string;
}

/** What one shard of a job gave. `gives`: which of its tensors are the job's, where the job went through stages. */
export interface OutputBlob extends BlobRef {
  gives?: string[];
}

/** Tokens of a generation while it is made, as its worker tells them: nothing of it was checked yet, and a further attempt begins anew. */
export interface MadeOfShard extends MadeTokens {
  shardId: string;
}

/** The requester's side of a coordinator: the owner's own jobs go in here, ahead of practice. */
export interface JobIntake {
  /** @throws PRICE_UNKNOWN, COST_TOO_HIGH, BUDGET_EXCEEDED, and what is wrong with the model or the inputs */
  submitJob(request: JobRequest, order?: JobOrder): Promise<JobStatus>;
  /**
   * What may take minutes before a job can be taken in: a model that fits no machine whole is cut into stages. Once for each model, and nothing where it
   * fits. @throws MODEL_NOWHERE, MODEL_UNCUTTABLE
   */
  prepare(request: JobRequest, order?: JobOrder): Promise<void>;
  job(id: string): Promise<JobStatus | null>;
  jobs(): Promise<JobStatus[]>;
  cancelJob(id: string): Promise<JobStatus>;
  /** The outputs of a job that is done, those of a split batch put together again. @throws JOB_UNKNOWN, JOB_UNFINISHED, JOB_FAILED, JOB_CANCELLED, BLOB_MISSING */
  outputs(id: string): Promise<Uint8Array>;
  /** The same as they lie there, one blob a shard, in order. @throws as `outputs` */
  outputBlobs(id: string): Promise<OutputBlob[]>;
  onMade(listener: (made: MadeOfShard) => void): () => void;
  onJob(listener: (job: JobStatus) => void): () => void;
}

/** What the practice network hands out: prompts to continue and batches of definitions to score, already tokenised. */
export interface PracticeSource {
  readonly model: LocalModel;
  readonly decoder: DecoderConfig;
  readonly stopTokens: number[];
  /** The practice task with this number, the same each time. */
  task(number: number): PracticeTask;
}
export type PracticeTask =
  | { kind: 'onnx.generate'; inputs: Uint8Array; maxNewTokens: number; sampling: Sampling }
  | { kind: 'onnx.run'; inputs: Uint8Array; outputs: string[] };

/** The embedded coordinator: a network and its job intake in one process, given to createApp by the shell. */
export interface EmbeddedCoordinator extends Network, JobIntake {
  readonly keys: ApiKeys;
  /** Practice left for today, and more of it when the user asks. */
  practice(): { acceptedToday: number; shardsLeft: number; msLeft: number };
  extendPractice(shards: number): void;
}

/** What of a model decides how its results can be audited. */
export interface AuditFacts {
  /** It computes in float16, or rounds what it computes with to whole numbers of few bits: honest results then lie further apart. */
  coarse: boolean;
  /** An operator whose outputs are drawn by chance, and where it is; null where there is none. Nobody can compute its results again. */
  random: { operator: string; where: string } | null;
  /** Outputs that say where among `values` the largest or smallest are; and whether the model gives those values too, so that near-ties can be told. */
  indices: { output: string; values: string; given: boolean }[];
}
/** Reads a model's file, once for each. @throws what is wrong with it */
export type InspectModel = (model: LocalModel) => Promise<AuditFacts>;

/** Computes a shard again, apart from the worker, to audit it: a sandboxed CPU worker of its own. */
export interface ReferenceWorker {
  compute(task: ReferenceTask): Promise<Uint8Array>;
}
export interface ReferenceTask {
  model: { digest: Sha256; local: LocalModel };
  shard: Shard;
  inputs: Uint8Array;
  /**
   * For a generation that is checked, not made anew: `inputs` then holds the claimed `tokens` (int64 [n]) beside `input_ids`, and the outputs are
   * ForcedDraw's fields by token: `drawn` (int64 [n]), and `shift`, `low`, `high` and `logit` (float64 [n]).
   */
  forced?: Forcing;
}
