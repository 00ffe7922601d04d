// Generation by a decoder of 309 million parameters in the layout of published ones, 4-bit weights and all: tokens a second of the sandboxed
// worker against a bare onnxruntime-node loop, and what keeping the cache costs a step in each of the ways there are, all by turns in one run.
// Usage: node decoder.ts [FOLDER], where FOLDER keeps the model between runs; otherwise it is made anew, and removed.
import { createHash } from 'node:crypto';
import type { InferenceSession, OnnxValue, Tensor } from 'onnxruntime-node';
import { quantile } from '../../core/bench/measure.ts';
import { CPU } from '../../core/contract/backends.ts';
import { canonicalJson } from '../../core/contract/digest.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import { argmax } from '../../core/contract/sampler.ts';
import { GenerateShard } from '../../core/contract/shard.ts';
import { readDecoder } from '../../core/models/decoder.ts';
import { describeModel } from '../../core/models/describe.ts';
import { modelDigest } from '../../core/models/digest.ts';
import { createSupervisor, type ShardTask } from '../../core/supervisor/supervisor.ts';
import { AlternatingCache, emptyCache, type KeyValueCache, SharedCache } from '../../worker/native/kv-cache.ts';
import { loadOnnxRuntime } from '../../worker/native/onnxruntime.ts';
import { type CacheSlot, readLayout } from '../../worker/shard/decoder-layout.ts';
import type { Session } from '../../worker/shard/session.ts';
import { openPlain, plainLoop } from '../fixtures/decoder/plain-loop.ts';
import { openLargeDecoder, report } from './large-decoder.ts';

const CONTEXTS = [128, 512, 1024];
const STEPS = 40;
/** A step's time when nothing else wants the machine: its lower quartile. */
const UNDISTURBED = 0.25;
const TOKENS = 48;
const REPEATS = 5;

const ort = await loadOnnxRuntime();
const { folder, modelPath, threads, worker, promptOf, close } = await openLargeDecoder();
try {
  const { decoder } = await readDecoder(folder);
  const plain = await openPlain(modelPath, threads);
  const session = { ort: plain, inputs: plain.inputMetadata, outputs: plain.outputMetadata } as unknown as Session;
  await measureCaches(plain, readLayout(session, decoder).caches);
  await measureTokens(plain, decoder);
  await plain.release();
} finally {
  close();
}

function feedsOf(ids: readonly number[], past: number): Record<string, OnnxValue> {
  const int64 = (values: readonly number[], dims: number[]) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
  const seen = past + ids.length;
  return {
    input_ids: int64(ids, [1, ids.length]),
    attention_mask: new ort.Tensor('int64', new BigInt64Array(seen).fill(1n), [1, seen]),
    num_logits_to_keep: int64([1], []),
  };
}

/** Each step goes all the ways, one after another, and with the same token. */
async function measureCaches(plain: InferenceSession, slots: readonly CacheSlot[]): Promise<void> {
  const names = ['logits', ...slots.map(({ present }) => present)];
  for (const context of CONTEXTS) {
    const first = await plain.run({ ...feedsOf(promptOf(context), 0), ...emptyCache(ort, slots) }, names);
    const most = context + STEPS + 1;
    const alternating = new AlternatingCache(ort, slots, first, context, most);
    const shared = new SharedCache(ort, slots, new AlternatingCache(ort, slots, first, context, most), most);
    let handedOver: Record<string, OnnxValue> = first;
    const times: Record<'handed over' | 'alternating' | 'in place', number[]> = { 'handed over': [], alternating: [], 'in place': [] };
    let token = argmax((first.logits as Tensor).data as Float32Array);
    const pass = async (cache: KeyValueCache) => {
      const { feeds, fetches } = cache.pass();
      const results = await plain.run({ ...feedsOf([token], past), ...feeds }, { logits: null, ...fetches });
      cache.advance();
      return results;
    };
    let past = context;
    for (; past < context + STEPS; past += 1) {
      const feeds = Object.fromEntries(slots.map(({ past: input, present }) => [input, handedOver[present] as OnnxValue]));
      handedOver = await timed(times['handed over'], () => plain.run({ ...feedsOf([token], past), ...feeds }, names));
      const answers = [await timed(times.alternating, () => pass(alternating)), await timed(times['in place'], () => pass(shared))];
      token = argmax((handedOver.logits as Tensor).data as Float32Array);
      for (const { logits } of answers) {
        if (argmax((logits as Tensor).data as Float32Array) !== token) throw new Error('the ways do not agree');
      }
    }
    const baseline = quantile(times['handed over'], UNDISTURBED);
    const copying = baseline - quantile(times['in place'], UNDISTURBED);
    report(`copying a cache of ${context} tokens, a step`, copying, 'ms', { name: 'the whole step, cache handed over', value: baseline });
    for (const way of ['alternating', 'in place'] as const) {
      report(`step with ${context} tokens of context, cache ${way}`, quantile(times[way], UNDISTURBED), 'ms', {
        name: 'cache handed over',
        value: baseline,
      });
    }
  }
}

async function measureTokens(plain: InferenceSession, decoder: GenerateShard['decoder']): Promise<void> {
  const { manifest, files } = await describeModel(modelPath);
  const supervisor = createSupervisor(worker);
  try {
    const prompt = promptOf(128);
    const task = taskOf({ digest: modelDigest(manifest), manifest, files }, prompt, decoder);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let repeat = 0; repeat <= REPEATS; repeat += 1) {
      const worker = await tokensPerSecond((onToken) => supervisor.run(task, { onToken }));
      const bare = await tokensPerSecond((onToken) => plainLoop(plain, prompt, TOKENS, onToken));
      if (String(worker.tokens) !== String(bare.tokens)) throw new Error('worker and bare loop do not agree');
      // The first time loads the model and finds out how its cache may be kept.
      if (repeat > 0) ours.push(worker.rate);
      if (repeat > 0) theirs.push(bare.rate);
    }
    report('generation in the sandboxed worker', quantile(ours, 0.5), 'tokens/s', {
      name: 'bare onnxruntime-node loop',
      value: quantile(theirs, 0.5),
    });
  } finally {
    await supervisor.dispose();
  }
}

/** Between the first token and the last, so without the prompt's pass. */
async function tokensPerSecond(
  generate: (onToken: (token: number) => void) => Promise<unknown>,
): Promise<{ rate: number; tokens: number[] }> {
  const tokens: number[] = [];
  let [from, to] = [0, 0];
  await generate((token) => {
    to = performance.now();
    if (tokens.length === 0) from = to;
    tokens.push(token);
  });
  return { rate: ((tokens.length - 1) / (to - from)) * 1000, tokens };
}

function taskOf(model: ShardTask['model'], prompt: number[], decoder: GenerateShard['decoder']): ShardTask {
  const data = new Uint8Array(BigInt64Array.from(prompt, BigInt).buffer);
  const inputs = encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, prompt.length], data }]]));
  const shard = GenerateShard.parse({
    id: 'shard-1',
    jobId: 'job-1',
    network: 'local',
    model: { digest: model.digest, bytes: canonicalJson(model.manifest).length },
    inputs: { digest: createHash('sha256').update(inputs).digest('hex'), bytes: inputs.byteLength },
    limits: { wallMs: 600_000, memoryBytes: 8 * 2 ** 30, outputBytes: 1 << 20 },
    session: { intraOpThreads: threads, graphOptimization: 'all' },
    price: { asset: 'hearth:local/credit:practice', unit: 'token', perUnit: '1' },
    origin: 'own',
    kind: 'onnx.generate',
    decoder,
    maxNewTokens: TOKENS,
    stopTokens: [],
    sampling: { method: 'greedy' },
  });
  return { shard, model, inputs, threads, provider: CPU };
}

async function timed<T>(times: number[], action: () => Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await action();
  times.push(performance.now() - from);
  return result;
}
