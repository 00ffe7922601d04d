import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadWordnetPractice } from '../../coordinator/practice/wordnet.ts';
import type { LocalModel, PracticeSource } from '../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { inProcessReference } from '../fakes/reference.ts';
import { inputsOf, submissionOf, takeLease, Workbench } from './workbench.ts';

const folder = join(import.meta.dirname, '../../resources/models/wordnet-lm');
const graph = realpathSync(join(folder, 'onnx/model.onnx'));
const bytes = readFileSync(graph);
const file = { path: 'model.onnx', bytes: bytes.byteLength, digest: createHash('sha256').update(bytes).digest('hex') };
const model: LocalModel = { manifest: { format: 'onnx', entry: 'model.onnx', files: [file] }, files: new Map([['model.onnx', graph]]) };
const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
const decoder = {
  layers: config.num_hidden_layers,
  keyValueHeads: config.num_key_value_heads,
  headSize: config.head_dim,
  maxPositions: config.max_position_embeddings,
};
const tokenizer = new Tokenizer(
  JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')),
  JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8')),
);

let practice: PracticeSource;
let bench: Workbench;
beforeEach(async () => {
  practice = await loadWordnetPractice({ folder, model, decoder, stopTokens: [config.eos_token_id] });
  bench = new Workbench();
});
afterEach(() => bench.dispose());

function idsOf(inputs: Uint8Array): number[] {
  const data = decodeSafetensors(inputs).get('input_ids')?.data ?? new Uint8Array(0);
  return Array.from(new BigInt64Array(new Uint8Array(data).buffer), Number);
}

test('every file of the practice model is as its provenance says', () => {
  const listed = readFileSync(join(folder, 'PROVENANCE.md'), 'utf8').matchAll(/^\| `([0-9a-f]{64})` \| (\d+) \| (\S+) \|$/gm);
  const files = Array.from(listed, ([, digest, size, path]) => ({ digest, size: Number(size), path: path ?? '' }));
  for (const { digest, size, path } of files) {
    const content = readFileSync(join(folder, path));
    expect({ path, size: content.byteLength, digest: createHash('sha256').update(content).digest('hex') }).toEqual({ path, size, digest });
  }
  const there = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.map(({ path }) => path.split('/').at(-1)).sort()).toEqual(
    there
      .map((entry) => entry.name)
      .filter((name) => name !== 'PROVENANCE.md')
      .sort(),
  );
});

test('a practice task is the same each time it is asked for', async () => {
  const again = await loadWordnetPractice({ folder, model, decoder, stopTokens: [0] });
  for (let number = 0; number < 12; number += 1) expect(again.task(number)).toEqual(practice.task(number));
  expect(() => practice.task(-1)).toThrow(RangeError);
});

test('practice is three prompts to continue and then a batch to score, varied over hundreds of words', () => {
  const tasks = Array.from({ length: 400 }, (_, number) => practice.task(number));
  expect(tasks.filter((task) => task.kind === 'onnx.run')).toHaveLength(100);
  const prompts = tasks.filter((task) => task.kind === 'onnx.generate').map((task) => idsOf(task.inputs));
  for (const prompt of prompts) {
    expect(prompt[0]).toBe(0);
    expect(tokenizer.decode(prompt.slice(1))).toMatch(/^[a-z]+ \((noun|verb|adjective|adverb)\):$/);
  }
  expect(new Set(prompts.map(String)).size).toBeGreaterThan(200);
  const seeds = tasks.flatMap((task) => (task.kind === 'onnx.generate' && task.sampling.method === 'sample' ? [task.sampling.seed] : []));
  expect(new Set(seeds).size).toBe(seeds.length);
  expect(seeds.length).toBeLessThan(300);
});

test('a scored batch holds definitions, padded, masked and without a past', () => {
  const task = practice.task(3);
  const tensors = decodeSafetensors(task.inputs);
  expect(tensors.get('past_key_values.5.value')?.shape).toEqual([3, 6, 0, 32]);
  expect(tensors.get('input_ids')?.shape).toEqual([3, 16]);
  const mask = tensors.get('attention_mask')?.data ?? new Uint8Array(0);
  expect(new Set(new BigInt64Array(new Uint8Array(mask).buffer))).toContain(1n);
  expect(tokenizer.decode(idsOf(task.inputs).slice(1, 16))).toMatch(/^[a-z]+ \((noun|verb|adjective|adverb)\): /);
});

test('the real model practises: its results are accepted, audited by the reference, and a faulty one is refused', async () => {
  const worker = inProcessReference(join(bench.root, 'worker-models'));
  const reference = inProcessReference(join(bench.root, 'reference-models'));
  bench.reference = (task) => reference.compute(task);
  bench.draw = 0;
  const network = await bench.open({ practice });
  let accepted = 0;
  for (let number = 0; number < 8; number += 1) {
    const lease = await takeLease(network);
    const inputs = await inputsOf(network, lease.shard);
    const digest = lease.shard.model.digest;
    const shard = { ...lease.shard, session: { ...lease.shard.session, intraOpThreads: 2 } };
    const outputs = await worker.compute({ model: { digest, local: model }, shard, inputs });
    if (number === 7) {
      const tensors = decodeSafetensors(outputs);
      const logits = tensors.get('logits');
      if (logits === undefined) throw new Error('no logits');
      const faulty = new Float32Array(new Uint8Array(logits.data).buffer);
      // One exponent bit of one number, as bad memory would flip it.
      faulty[1000] = (faulty[1000] ?? 0) * 65_536;
      const blob = encodeSafetensors(new Map([['logits', { ...logits, data: new Uint8Array(faulty.buffer) }]]));
      expect(blob.byteLength).toBeLessThan(400_000);
      expect(await network.submit(submissionOf(lease, blob), blob)).toMatchObject({ type: 'rejected', code: 'AUDIT_FAILED' });
    } else {
      expect(await network.submit(submissionOf(lease, outputs), outputs)).toMatchObject({ type: 'accepted', audited: true });
      accepted += 1;
    }
  }
  expect(network.practice().acceptedToday).toBe(accepted);
});
