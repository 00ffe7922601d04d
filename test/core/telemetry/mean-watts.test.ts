import { expect, test } from 'vitest';
import type { TelemetrySample } from '../../../core/contract/telemetry.ts';
import { meanWatts } from '../../../core/telemetry/mean-watts.ts';

const sample = (cpu: number | null, ...gpus: (number | null)[]) =>
  ({ at: 0, cpu: { powerWatts: cpu }, gpus: gpus.map((powerWatts) => ({ powerWatts })) }) as TelemetrySample;

test('what was taken on average is of the parts that have a sensor, and unknown before half a minute of it', () => {
  expect(meanWatts(Array.from({ length: 30 }, () => sample(40, 200, null)))).toBe(240);
  expect(meanWatts(Array.from({ length: 29 }, () => sample(40)))).toBeNull();
  expect(meanWatts(Array.from({ length: 300 }, () => sample(null, null)))).toBeNull();
  expect(meanWatts([...Array.from({ length: 30 }, () => sample(null, 100)), ...Array.from({ length: 30 }, () => sample(null, 300))])).toBe(
    200,
  );
});
