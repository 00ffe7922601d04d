import { expect, test } from 'vitest';
import { auditResult } from '../../../coordinator/auditing.ts';
import { startThresholds } from '../../../coordinator/trust/thresholds.ts';
import type { ReferenceTask } from '../../../core/contract/jobs.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { RunShard } from '../../../core/contract/shard.ts';
import type { Tensors } from '../../../core/contract/tensor.ts';
import { float32, int64 } from '../workbench.ts';

const shard = RunShard.parse({
  ...{ id: 's.1', jobId: 's', network: 'studio', kind: 'onnx.run', outputs: ['class'], origin: 'network' },
  model: { digest: '0'.repeat(64), bytes: 1 },
  inputs: { digest: '1'.repeat(64), bytes: 1 },
  limits: { wallMs: 1000, memoryBytes: 1, outputBytes: 1000 },
  session: { intraOpThreads: 1, graphOptimization: 'all' },
  price: { asset: 'hearth:local/credit:practice', unit: 'run', perUnit: '1' },
});
const computed: Tensors = new Map([
  ['class', int64([1, 0])],
  ['scores', float32([0.5, 0.900001, 0.9, 3, 2, 1], [2, 3])],
]);

test('the reference is asked for the values that indices point into, which the worker need not give, and a near-tie among them is right', async () => {
  const asked: ReferenceTask[] = [];
  const reference = {
    async compute(task: ReferenceTask) {
      asked.push(task);
      return encodeSafetensors(computed);
    },
  };
  const thresholds = startThresholds({ claimed: 'cpu', reference: 'cpu' }, false);
  const judged = (claimed: number[]) =>
    auditResult(
      reference,
      {
        ...{ shard, thresholds, own: thresholds, indices: [{ output: 'class', values: 'scores' }], inputs: encodeSafetensors(new Map()) },
        model: { manifest: { format: 'onnx', entry: 'm.onnx', files: [] }, files: new Map() },
        claimed: new Map([['class', int64(claimed)]]),
        onDispute: async () => undefined,
        signal: new AbortController().signal,
      },
      60_000,
      () => undefined,
    );
  expect((await judged([1, 0])).type).toBe('agrees');
  expect((await judged([2, 0])).type).toBe('agrees');
  expect(await judged([1, 1])).toMatchObject({
    type: 'refuted',
    detail: expect.stringContaining('class points at 1 where 0 was computed'),
  });
  expect((await judged([7, 0])).type).toBe('refuted');
  for (const task of asked) expect(task.shard).toMatchObject({ outputs: ['class', 'scores'] });
});
