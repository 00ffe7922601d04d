import type { ReferenceTask, ReferenceWorker } from '../../core/contract/jobs.ts';
import type { DecoderConfig } from '../../core/contract/model.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { GenerateShard, RunShard } from '../../core/contract/shard.ts';
import { type Stage, sharedInput } from '../../core/contract/stages.ts';
import { TENSOR_TYPES, type Tensor, type Tensors } from '../../core/contract/tensor.ts';
import { givenBy } from '../staging/plan.ts';
import { inputsOf, joinable, type Step } from '../staging/steps.ts';

/** Tokens that go through a stage in one pass of an audit, and what it may give in one. */
const PIECE_TOKENS = 256;
const PIECE_BYTES = 128 * 2 ** 20;
const OUTPUT_BYTES = 2 ** 30;

/** Some steps in one pass: what the stage was handed, and what the reference gives for that. */
export interface Piece {
  /** Steps from…to of the generation. */
  from: number;
  to: number;
  inputs: Tensors;
  computed: Tensors;
}

/**
 * Runs all steps that a stage was handed through its model again, in pieces that fit memory, with the cache handed on between them.
 * @param steps what the stage was handed, in order @param threads another number orders the sums differently
 */
export async function* passesOver(
  reference: ReferenceWorker,
  { shard, model, stage, decoder }: { shard: GenerateShard; model: ReferenceTask['model']; stage: Stage; decoder: DecoderConfig },
  steps: readonly Step[],
  threads: number,
): AsyncGenerator<Piece> {
  const wanted = givenBy(stage).map(({ name }) => name);
  const presents = stage.outputs.filter(({ to }) => to === 'cache').map(({ name }) => name);
  let cache: Tensors = new Map();
  let past = 0;
  for (let from = 0; from < steps.length; ) {
    const to = pieceFrom(stage, steps, from);
    const some = steps.slice(from, to);
    const tokens = some.reduce((sum, { ids }) => sum + ids.length, 0);
    const inputs = inputsOf(stage, some);
    const made = madeInputs(stage, decoder, cache, past, tokens);
    const last = to === steps.length;
    const run = runOf(shard, last ? wanted : [...wanted, ...presents], threads);
    const outputs = decodeSafetensors(
      await reference.compute({ model, shard: run, inputs: encodeSafetensors(new Map([...inputs, ...made])) }),
    );
    yield { from, to, inputs, computed: outputs };
    cache = new Map(presents.map((name) => [name.replace(/^present\./, 'past_key_values.'), outputs.get(name) as Tensor]));
    past += tokens;
    from = to;
  }
}

function pieceFrom(stage: Stage, steps: readonly Step[], from: number): number {
  // Of one that gives the last token's logits alone, too.
  if (!joinable(stage) || stage.outputs.some(({ name, shape }) => name === 'logits' && shape.at(-2) === 1)) return from + 1;
  const widest = givenBy(stage).reduce((sum, { type, shape }) => {
    const elements = shape.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
    return sum + elements * TENSOR_TYPES[type].bytes;
  }, 1);
  const most = Math.max(1, Math.min(PIECE_TOKENS, Math.floor(PIECE_BYTES / widest)));
  let to = from + 1;
  let tokens = steps[from]?.ids.length ?? 0;
  for (; to < steps.length; to += 1) {
    tokens += steps[to]?.ids.length ?? 0;
    if (tokens > most) break;
  }
  return to;
}

/** What every worker makes for itself: the cache, and what the number of tokens tells. */
function madeInputs(stage: Stage, decoder: DecoderConfig, cache: Tensors, past: number, tokens: number): Tensors {
  const made: Tensors = new Map();
  for (const { name, type, shape, from } of stage.inputs) {
    if (from === 'cache') {
      const empty = [1, decoder.keyValueHeads, 0, decoder.headSize].map((size, axis) => (axis === 2 ? 0 : numberOr(shape[axis], size)));
      made.set(name, cache.get(name) ?? { type, shape: empty, data: new Uint8Array(0) });
    } else if (name === 'use_cache_branch') made.set(name, { type: 'bool', shape: [1], data: Uint8Array.of(past > 0 ? 1 : 0) });
    else if (name === 'attention_mask') made.set(name, whole(type, new Array(past + tokens).fill(1), [1, past + tokens]));
    else if (name === 'position_ids')
      made.set(
        name,
        whole(
          type,
          Array.from({ length: tokens }, (_, at) => past + at),
          [1, tokens],
        ),
      );
    else if (sharedInput(name))
      made.set(
        name,
        whole(
          type,
          [tokens],
          shape.map(() => 1),
        ),
      );
  }
  return made;
}

const numberOr = (size: number | string | null | undefined, otherwise: number) => (typeof size === 'number' ? size : otherwise);

function whole(type: Tensor['type'], values: number[], shape: number[]): Tensor {
  const elements = type === 'int32' ? Int32Array.from(values) : BigInt64Array.from(values, BigInt);
  return { type, shape, data: new Uint8Array(elements.buffer) };
}

/** The stage as a graph that is run once. */
function runOf(shard: GenerateShard, outputs: string[], intraOpThreads: number): RunShard {
  const { decoder: _decoder, maxNewTokens: _new, stopTokens: _stop, sampling: _sampling, stream: _stream, stage: _stage, ...base } = shard;
  return {
    ...base,
    kind: 'onnx.run',
    outputs,
    limits: { ...base.limits, outputBytes: OUTPUT_BYTES },
    session: { ...base.session, intraOpThreads },
  };
}
