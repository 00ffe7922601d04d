import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openBare } from '../../../core/bench/bare.ts';
import { createGate } from '../../../core/bench/gate.ts';
import { measureInventory } from '../../../core/bench/inventory.ts';
import { measure, median, quantile } from '../../../core/bench/measure.ts';
import { inputShape } from '../../../core/bench/onnx.ts';
import { writeModel } from '../../../core/bench/shards.ts';
import type { EmbeddedCoordinator } from '../../../core/contract/jobs.ts';
import type { LeaseRequest, NetworkEvent } from '../../../core/contract/network.ts';
import { describeModel } from '../../../core/models/describe.ts';

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearthlend-bench-test-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test.each([0, 1, 7])('a chain of %i links is a model that ONNX Runtime runs, and longer chains take longer', async (links) => {
  const dir = folder();
  const path = writeModel(dir, links);
  expect(await describeModel(path)).toMatchObject({ inputs: [{ name: 'x', shape: inputShape(links) }], outputs: [{ name: 'y' }] });
  const elements = inputShape(links).reduce((product, size) => product * size, 1);
  const bare = await openBare(path, 1);
  expect(await bare.run([new Float32Array(elements)], inputShape(links))).toHaveLength(1);
  await bare.release();
  expect(process.env.ORT_DISABLE_TELEMETRY).toBe('1');
});

test('medians and quantiles are values that were measured', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(quantile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(median([])).toBeNaN();
});

test('a figure is told with four digits, and with a baseline and a ratio only where there are', () => {
  expect(measure('a', 1.23456789, 'ms')).toEqual({ event: 'measure', name: 'a', value: 1.235, unit: 'ms' });
  expect(measure('a', 1, 'ms', { baseline: { name: 'b', value: 2.00004 }, ratio: 2 })).toMatchObject({ baseline: { value: 2 }, ratio: 2 });
});

test('work piles up behind the gate until it opens, and it closes when the count has passed', async () => {
  const told: string[] = [];
  const lease = { type: 'lease', lease: { shard: { id: 's1' } } };
  const inner = {
    lease: async () => lease,
    submit: async () => ({ type: 'disputed' }),
    subscribe: (listener: (event: NetworkEvent) => void) => {
      told.push('subscribed');
      listener({ type: 'work' });
      return () => told.push('left');
    },
  } as unknown as EmbeddedCoordinator;
  const gate = createGate(inner);
  const request: LeaseRequest = { isolation: 'os', warmModels: [], memoryBytes: 1, practice: false };
  expect(await gate.coordinator.lease(request)).toMatchObject({ type: 'no-work' });
  const leave = gate.coordinator.subscribe((event) => told.push(event.type));
  const passing = gate.pass(1);
  expect(await gate.coordinator.lease(request)).toBe(lease);
  await gate.coordinator.submit({ shardId: 's1' } as never, new Uint8Array(0));
  expect(await passing).toMatchObject([{ leasedAt: expect.any(Number), answeredAt: expect.any(Number) }]);
  expect(await gate.coordinator.lease(request)).toMatchObject({ type: 'no-work' });
  leave();
  expect(told).toEqual(['subscribed', 'work', 'work', 'left']);
});

test.skipIf(process.platform !== 'linux')(
  'the inventory is measured as the machine is, and with programs that hang, against its bound',
  async () => {
    const paths: string[] = [];
    const measures = [];
    for await (const each of measureInventory({ read: async (path) => void paths.push(path), path: '/usr/bin', dir: folder() }, true)) {
      measures.push(each);
    }
    expect(measures.map(({ unit, baseline }) => [unit, baseline?.value])).toEqual([
      ['ms', 3000],
      ['ms', 3000],
    ]);
    const [asItIs, , , stuck = ''] = paths;
    expect(asItIs).toBe('/usr/bin');
    expect(readdirSync(stuck)).toContain('nvidia-smi');
  },
);
