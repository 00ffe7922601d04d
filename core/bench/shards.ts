import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DescribedModel, JobIntake, JobRequest } from '../contract/jobs.ts';
import { encodeSafetensors } from '../contract/safetensors.ts';
import { openBare } from './bare.ts';
import type { Gate } from './gate.ts';
import { type Measure, measure, median, quantile } from './measure.ts';
import { chainModel, inputShape } from './onnx.ts';

/** A whole agent, working on what is handed to its own network. */
export interface BenchAgent {
  gate: Gate;
  intake: JobIntake;
  describeModel(path: string): Promise<DescribedModel>;
}

/** Threads of every shard and of the baseline. */
export const THREADS = 1;
const LIMITS = { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 24 };
/** Steps that calibrating a chain's length takes the median of. */
const TRIAL_LINKS = 8;
const TRIAL_PASSES = 30;
const ROUNDS = 4;
/** Shards of the round before the first, and single ones. */
const WARM_UP = 8;
const ALONE = 60;

interface Size {
  name: string;
  /** What a bare pass is to take; 0: as little as can be. */
  ms: number;
  shards: number;
}

function sizes(quick: boolean): Size[] {
  const part = quick ? 4 : 1;
  return [
    { name: 'near-empty', ms: 0, shards: 960 / part },
    { name: '1 ms', ms: 1, shards: 960 / part },
    { name: '5 ms', ms: 5, shards: 960 / part },
    { name: '50 ms', ms: 50, shards: 320 / part },
  ];
}

/** The agent's whole path against a bare loop over the same model and inputs, by turns. */
export async function* measureShards(agent: BenchAgent, dir: string, quick: boolean): AsyncGenerator<Measure> {
  const msPerLink = await calibrate(dir);
  for (const size of sizes(quick)) yield* measureSize(agent, dir, size, Math.round(size.ms / msPerLink));
}

async function calibrate(dir: string): Promise<number> {
  const path = writeModel(dir, TRIAL_LINKS);
  const bare = await openBare(path, THREADS);
  const times = await bare.run(inputsFor(TRIAL_LINKS, TRIAL_PASSES, 0), inputShape(TRIAL_LINKS));
  await bare.release();
  return median(times) / TRIAL_LINKS;
}

async function* measureSize(agent: BenchAgent, dir: string, size: Size, links: number): AsyncGenerator<Measure> {
  const path = writeModel(dir, links);
  const model = await agent.describeModel(path);
  const bare = await openBare(path, THREADS);
  const bareTimes: number[] = [];
  const perShard: number[] = [];
  const added: number[] = [];
  const alone: number[] = [];
  let number = 0;
  const round = async (count: number) => {
    const inputs = inputsFor(links, count, number);
    number += count;
    const times = await bare.run(inputs, inputShape(links));
    for (const input of inputs) await agent.intake.submitJob(request(model, links, input));
    const timings = await agent.gate.pass(count);
    // From the first lease to the last answer: results come in groups, so the time between two of them says nothing.
    const from = Math.min(...timings.map(({ leasedAt }) => leasedAt));
    return { times, meanMs: (Math.max(...timings.map(({ answeredAt }) => answeredAt)) - from) / count };
  };
  // Loads the model in the worker, and settles the baseline's memory.
  await round(WARM_UP);
  for (let each = 0; each < ROUNDS; each += 1) {
    const { times, meanMs } = await round(size.shards / ROUNDS);
    bareTimes.push(...times);
    perShard.push(meanMs);
    added.push(meanMs - median(times));
  }
  for (let each = 0; each < (size.ms === 0 ? ALONE : 0); each += 1) {
    const [input] = inputsFor(links, 1, number) as [Float32Array];
    number += 1;
    await agent.intake.submitJob(request(model, links, input));
    const [timing] = await agent.gate.pass(1);
    if (timing !== undefined) alone.push(timing.answeredAt - timing.leasedAt);
  }
  await bare.release();
  yield* size.ms === 0 ? addedTime(bareTimes, added, alone) : ratio(size, bareTimes, perShard);
}

function* addedTime(bareTimes: number[], added: number[], alone: number[]): Generator<Measure> {
  const baseline = { name: 'bare ONNX Runtime', value: median(bareTimes) };
  yield measure('time added to a near-empty shard, one after another: median over rounds', median(added), 'ms', { baseline });
  yield measure('time added to a near-empty shard, one after another: slowest round', quantile(added, 1), 'ms');
  yield measure('a near-empty shard alone, from lease to acceptance: median', median(alone), 'ms', { baseline });
  yield measure('a near-empty shard alone, from lease to acceptance: p99', quantile(alone, 0.99), 'ms');
}

function* ratio({ name }: Size, bareTimes: number[], perShard: number[]): Generator<Measure> {
  const bareMs = median(bareTimes);
  const agentMs = median(perShard);
  yield measure(`a shard of about ${name} in the agent's whole path (ratio: bare time / this time)`, agentMs, 'ms', {
    baseline: { name: 'bare ONNX Runtime', value: bareMs },
    ratio: bareMs / agentMs,
  });
  yield measure(`shards of about ${name}, throughput`, 1000 / agentMs, 'shards/s', {
    baseline: { name: 'bare ONNX Runtime', value: 1000 / bareMs },
    ratio: bareMs / agentMs,
  });
}

export function writeModel(dir: string, links: number): string {
  const path = join(dir, `chain-${links}.onnx`);
  writeFileSync(path, chainModel(links));
  return path;
}

/** Inputs that differ in one number: what is the same would be kept once. */
function inputsFor(links: number, count: number, from: number): Float32Array[] {
  const elements = inputShape(links).reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, at) => new Float32Array(elements).fill(0.5).fill(from + at, 0, 1));
}

function request(model: DescribedModel, links: number, input: Float32Array): JobRequest {
  return {
    kind: 'onnx.run',
    model: { manifest: model.manifest, files: model.files },
    inputs: chainInputs(links, input),
    outputs: ['y'],
    limits: LIMITS,
    session: { intraOpThreads: THREADS, graphOptimization: 'all' },
  };
}

export function chainInputs(links: number, input: Float32Array): Uint8Array {
  return encodeSafetensors(new Map([['x', { type: 'float32', shape: inputShape(links), data: new Uint8Array(input.buffer) }]]));
}
