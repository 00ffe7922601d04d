import type { JobIntake, LocalModel } from '../contract/jobs.ts';
import type { DecoderConfig } from '../contract/model.ts';
import { encodeSafetensors } from '../contract/safetensors.ts';
import { generateBare } from './bare.ts';
import type { Gate } from './gate.ts';
import { type Measure, measure, median } from './measure.ts';
import { THREADS } from './shards.ts';

interface GenerationBench {
  gate: Gate;
  intake: JobIntake;
  model: LocalModel;
  /** The model's file, for the baseline. */
  modelPath: string;
  decoder: DecoderConfig;
  prompt: number[];
}

const ROUNDS = 5;

/** Tokens per second of a greedy generation in the agent's whole path, lease and acceptance included, against a bare loop. */
export async function* measureGeneration({ gate, intake, ...bench }: GenerationBench, quick: boolean): AsyncGenerator<Measure> {
  const { model, modelPath, decoder, prompt } = bench;
  const tokens = Math.min(quick ? 48 : 100, decoder.maxPositions - prompt.length);
  const input = { type: 'int64' as const, shape: [1, prompt.length], data: new Uint8Array(BigInt64Array.from(prompt, BigInt).buffer) };
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const bareMs = await generateBare(modelPath, decoder, prompt, tokens, THREADS);
    await intake.submitJob({
      kind: 'onnx.generate',
      model,
      decoder,
      inputs: encodeSafetensors(new Map([['input_ids', input]])),
      maxNewTokens: tokens,
      stopTokens: [],
      sampling: { method: 'greedy' },
      limits: { wallMs: 120_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 20 },
      session: { intraOpThreads: THREADS, graphOptimization: 'all' },
    });
    const [timing] = await gate.pass(1);
    // The first round loads the model.
    if (timing === undefined || round === 0) continue;
    ours.push(tokens / ((timing.answeredAt - timing.leasedAt) / 1000));
    theirs.push(tokens / (bareMs / 1000));
  }
  const baseline = median(theirs);
  yield measure(`generation, ${tokens} tokens of the practice model, lease to acceptance`, median(ours), 'tokens/s', {
    baseline: { name: 'bare ONNX Runtime', value: baseline },
    ratio: median(ours) / baseline,
  });
}
