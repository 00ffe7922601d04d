import type { OnnxValue } from 'onnxruntime-node';
import type { DecoderConfig } from '../contract/model.ts';

/** The baseline: ONNX Runtime in this process and nothing else, with the session options that the shards have. */
export interface Bare {
  /** Times (ms) of one pass each over these inputs. */
  run(inputs: readonly Float32Array[], shape: readonly number[]): Promise<number[]>;
  release(): Promise<void>;
}

/** Set before it is loaded: ONNX Runtime reports home otherwise. */
async function onnxruntime() {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  return import('onnxruntime-node');
}

export async function openBare(modelPath: string, threads: number): Promise<Bare> {
  const { InferenceSession, Tensor } = await onnxruntime();
  const session = await InferenceSession.create(modelPath, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  return {
    async run(inputs, shape) {
      const times: number[] = [];
      for (const input of inputs) {
        const from = performance.now();
        await session.run({ x: new Tensor('float32', input, [...shape]) });
        times.push(performance.now() - from);
      }
      return times;
    },
    release: () => session.release(),
  };
}

/** Makes `tokens` tokens greedily from the prompt, with the keys and values of each step handed to the next. @returns ms, loading left out */
export async function generateBare(
  modelPath: string,
  decoder: DecoderConfig,
  prompt: readonly number[],
  tokens: number,
  threads: number,
): Promise<number> {
  const { InferenceSession, Tensor } = await onnxruntime();
  const session = await InferenceSession.create(modelPath, { intraOpNumThreads: threads, interOpNumThreads: 1 });
  const empty = (): OnnxValue => new Tensor('float32', new Float32Array(0), [1, decoder.keyValueHeads, 0, decoder.headSize]);
  const layers = Array.from({ length: decoder.layers }, (_, layer) => layer);
  let past: Record<string, OnnxValue> = Object.fromEntries(
    layers.flatMap((layer) => ['key', 'value'].map((part) => [`past_key_values.${layer}.${part}`, empty()] as const)),
  );
  let ids = prompt.map(BigInt);
  const from = performance.now();
  for (let length = 0, made = 0; made < tokens; made += 1) {
    const total = length + ids.length;
    const positions = BigInt64Array.from(ids, (_, at) => BigInt(length + at));
    const results = await session.run({
      input_ids: new Tensor('int64', BigInt64Array.from(ids), [1, ids.length]),
      attention_mask: new Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
      position_ids: new Tensor('int64', positions, [1, ids.length]),
      ...past,
    });
    const { logits, ...present } = results;
    if (logits === undefined) throw new Error('the practice model gives no logits');
    const row = (logits.data as Float32Array).slice(-(logits.dims[2] ?? 0));
    ids = [BigInt(row.indexOf(Math.max(...row)))];
    past = Object.fromEntries(Object.entries(present).map(([name, tensor]) => [name.replace('present', 'past_key_values'), tensor]));
    length = total;
  }
  const ms = performance.now() - from;
  await session.release();
  return ms;
}
