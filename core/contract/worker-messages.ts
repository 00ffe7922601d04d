import { z } from 'zod';
import { Provider } from './backends.ts';
import { Sha256 } from './digest.ts';
import { ERROR_CODES } from './errors.ts';
import type { FrameLimits } from './frame.ts';
import { DecoderConfig, ModelPath } from './model.ts';
import { Sampling } from './sampler.ts';
import { SessionOptions, TensorName } from './shard.ts';
import { TensorType } from './tensor.ts';

/** Bounds of every frame in both directions. A body is one safetensors blob, held in memory whole. */
export const WORKER_FRAME_LIMITS: FrameLimits = { headerBytes: 1 << 20, bodyBytes: 0x7fff_ffff };

const request = { id: z.int().min(1) };

/** Which loaded model: session options and provider change a result's bits, and so make it another session. */
const loaded = { model: Sha256, session: SessionOptions, provider: Provider };

/**
 * Agent → worker. `load` names files below the worker's one read-only models directory: `<digest>/<entry>`; `strict` refuses a model of which
 * operators would be left to the CPU. Bodies: inputs.
 */
export const WorkerRequest = z.discriminatedUnion('type', [
  z.strictObject({ ...request, ...loaded, type: z.literal('load'), entry: ModelPath, strict: z.boolean() }),
  z.strictObject({ ...request, ...loaded, type: z.literal('unload') }),
  z.strictObject({
    ...request,
    ...loaded,
    type: z.literal('run'),
    outputs: z.array(TensorName).max(4096),
    outputBytes: z.int().min(0),
  }),
  z.strictObject({
    ...request,
    ...loaded,
    type: z.literal('generate'),
    decoder: DecoderConfig,
    maxNewTokens: z.int().min(1).max(1_000_000),
    stopTokens: z.array(z.int().min(0)).max(64),
    sampling: Sampling,
    /** Whether logits must leave something to choose by: refused where one is +∞ or no number. */
    finite: z.boolean().optional(),
    outputBytes: z.int().min(0),
  }),
  /** Checks a generation's claimed tokens instead of making any. Body: `input_ids` and `tokens`; outputs: ForcedDraw's fields, by token. */
  z.strictObject({
    ...request,
    ...loaded,
    type: z.literal('force'),
    decoder: DecoderConfig,
    sampling: Sampling,
    tolerance: z.strictObject({ draw: z.number().min(0).max(1), logit: z.number().min(0).max(1000) }),
    /** One token a pass. */
    stepwise: z.boolean(),
    outputBytes: z.int().min(0),
  }),
  /** Begins with a stage of a decoder, with an empty cache. `positions`: tokens that will go through it, at most. */
  z.strictObject({ ...request, ...loaded, type: z.literal('open'), decoder: DecoderConfig, positions: z.int().min(1).max(16_777_216) }),
  /** So many tokens more through the stage that was opened last. Body: what it is handed; outputs: what it gives, of logits the last token's. */
  z.strictObject({ ...request, type: z.literal('step'), tokens: z.int().min(1).max(1_000_000), outputBytes: z.int().min(0) }),
  /** The generation with this id is to end at its next token: what it has made then is its result. Read ahead of what waits, and not answered itself. */
  z.strictObject({ ...request, type: z.literal('end') }),
]);
export type WorkerRequest = z.infer<typeof WorkerRequest>;

/** A graph's input or output as ONNX Runtime declares it. A dimension is a size, or the name of one that varies. */
export const GraphValue = z.strictObject({
  name: TensorName,
  type: TensorType,
  shape: z.array(z.union([z.int().min(0), z.string().max(1024)])).max(64),
});
export type GraphValue = z.infer<typeof GraphValue>;

/** Worker → agent. Exactly one of `loaded`, `unloaded`, `result`, `failed` answers each request. Bodies: outputs. */
export const WorkerReply = z.discriminatedUnion('type', [
  /** `node` is null where there is none, in a page. */
  z.strictObject({ type: z.literal('ready'), onnxruntime: z.string().max(64), node: z.string().max(64).nullable() }),
  z.strictObject({
    ...request,
    type: z.literal('loaded'),
    loadMs: z.number().min(0),
    inputs: z.array(GraphValue).max(4096),
    outputs: z.array(GraphValue).max(4096),
    /** Null where it can't tell, as a page can't. */
    residentBytes: z.int().min(0).nullable(),
  }),
  z.strictObject({ ...request, type: z.literal('unloaded') }),
  z.strictObject({ ...request, type: z.literal('token'), index: z.int().min(0), token: z.int().min(0) }),
  z.strictObject({
    ...request,
    type: z.literal('result'),
    runMs: z.number().min(0),
    tokensMade: z.int().min(0),
    /** Draws that came closer to their interval's edge than NEAR_TIE_MARGIN: other hardware might have drawn the neighbour. */
    nearTies: z.int().min(0),
    residentBytes: z.int().min(0).nullable(),
  }),
  z.strictObject({
    ...request,
    type: z.literal('failed'),
    code: z.enum(ERROR_CODES),
    params: z.record(z.string().max(64), z.union([z.string().max(2000), z.number()])),
  }),
]);
export type WorkerReply = z.infer<typeof WorkerReply>;

/** A draw this close to an edge (probability; for greedy, logits) counts as a near-tie. */
export const NEAR_TIE_MARGIN = 1e-5;
