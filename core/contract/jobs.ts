import type { Sha256 } from './digest.ts';
import type { DrawTolerance } from './forced-draw.ts';
import type { DecoderConfig, ModelManifest } from './model.ts';
import type { JobStatus, Network } from './network.ts';
import type { Sampling } from './sampler.ts';
import type { Limits, SessionOptions, Shard } from './shard.ts';
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

interface JobBase {
  model: LocalModel;
  /** A safetensors blob. */
  inputs: Uint8Array;
  limits: Limits;
  session: SessionOptions;
}
export type JobRequest =
  | (JobBase & { kind: 'onnx.run'; outputs: string[] })
  | (JobBase & {
      kind: 'onnx.generate';
      decoder: DecoderConfig;
      maxNewTokens: number;
      stopTokens: number[];
      sampling: Sampling;
    });

/** The requester's side of a coordinator: the owner's own jobs go in here, ahead of practice. */
export interface JobIntake {
  submitJob(request: JobRequest): Promise<JobStatus>;
  job(id: string): Promise<JobStatus | null>;
  jobs(): Promise<JobStatus[]>;
  cancelJob(id: string): Promise<JobStatus>;
  /** The outputs blob of a job that is done. @throws JOB_UNKNOWN, JOB_UNFINISHED, JOB_FAILED, JOB_CANCELLED, BLOB_MISSING */
  outputs(id: string): Promise<Uint8Array>;
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
  /** Practice left for today, and more of it when the user asks. */
  practice(): { acceptedToday: number; shardsLeft: number; msLeft: number };
  extendPractice(shards: number): void;
}

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
   * `drawn` (int64 [n]), the token that is drawn here, and `shift` (float64 [n]): see ForcedDraw.
   */
  forced?: DrawTolerance;
}
